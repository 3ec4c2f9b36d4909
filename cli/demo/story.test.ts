import { Writable } from 'node:stream';

import { expect, test } from 'vitest';

import { Story, Untruth } from './story.ts';

const TRUE = { text: 'seen: 1', isTrue: true, wanted: '1', seen: '1' };
const UNTRUE = { text: 'seen: 2', isTrue: false, wanted: '1', seen: '2' };

test('fact() of an asserted story throws at the first untruth, with what was wanted and seen', () => {
  const { story, text } = open(true);
  story.fact(TRUE);
  expect(() => story.fact(UNTRUE)).toThrow(Untruth);
  expect(text()).toMatch(/√ seen: 1\n +\d+\.\d\ds {2}× seen: 2\n +wanted: 1\n +seen: {3}2\n$/u);
});

test('fact() of a told story counts untruths and goes on', () => {
  const { story } = open(false);
  story.fact(UNTRUE);
  story.fact(TRUE);
  expect(story).toMatchObject({ truths: 1, untruths: 1 });
});

test('nothing is told while the story is paused', () => {
  const { story, text } = open(true);
  story.pause();
  story.fact(TRUE);
  story.say('a word');
  story.resume();
  expect(text()).toBe('');
});

function open(isAsserted: boolean) {
  let told = '';
  const out = new Writable({
    write(chunk, _encoding, done) {
      told += String(chunk);
      done();
    },
  });
  return { story: new Story(out, isAsserted, performance.now()), text: () => told };
}
