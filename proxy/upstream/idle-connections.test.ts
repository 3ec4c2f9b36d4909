import { expect, test } from 'vitest';
import { IdleConnections, type IdleConnection } from './idle-connections.ts';

class Probe implements IdleConnection {
  idlePrevious: IdleConnection | null = null;
  idleNext: IdleConnection | null = null;
  isListedIdle = false;
  readonly name: string;
  readonly #list: IdleConnections;
  readonly #evicted: string[];

  constructor(name: string, list: IdleConnections, evicted: string[]) {
    this.name = name;
    this.#list = list;
    this.#evicted = evicted;
  }

  evict(): void {
    this.#list.remove(this);
    this.#evicted.push(this.name);
  }
}

function listOf(limit: number) {
  const list = new IdleConnections(limit);
  const evicted: string[] = [];
  return { list, evicted, probe: (name: string) => new Probe(name, list, evicted) };
}

test.each([
  { why: 'the one idle for longest goes first', removed: [], want: ['a', 'b'] },
  { why: 'one that was used again is not the oldest', removed: ['a'], want: ['b'] },
  { why: 'one taken from the middle leaves the others in order', removed: ['b'], want: ['a'] },
  { why: 'the newest taken', removed: ['c'], want: ['a'] },
])('IdleConnections beyond its bound: $why', ({ removed, want }) => {
  const { list, evicted, probe } = listOf(3);
  const all = ['a', 'b', 'c', 'd', 'e'].map(probe);
  for (const one of all.slice(0, 3)) list.add(one);
  for (const one of all) if (removed.includes(one.name)) list.remove(one);
  for (const one of all.slice(3)) list.add(one);
  expect(evicted).toEqual(want);
  expect([list.size, list.evictions]).toEqual([3, want.length]);
});

test('IdleConnections takes a connection out once, and empties', () => {
  const { list, probe } = listOf(3);
  const one = probe('one');
  list.remove(one);
  list.add(one);
  list.remove(one);
  list.remove(one);
  expect(list.size).toBe(0);
  list.add(one);
  expect(list.size).toBe(1);
});
