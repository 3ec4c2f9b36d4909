/**
 * `postern demo`: a small mesh on this machine, real processes and real bytes, and what is observed of it. With `--assert` it ends
 * after the story, with a status that says whether all of it was true; without, it stays up until it is asked to end.
 */
import { EXIT } from '../exit.ts';
import { commandsToTry, placeToTry } from './hints.ts';
import { INTERRUPTED, Interruption } from './interruption.ts';
import { Mesh } from './mesh.ts';
import { brokenPolicy } from './steps/broken-policy.ts';
import { calls } from './steps/calls.ts';
import { cost } from './steps/cost.ts';
import { protocols } from './steps/protocols.ts';
import { refusals } from './steps/refusals.ts';
import { reload } from './steps/reload.ts';
import { rotation } from './steps/rotation.ts';
import { start } from './steps/start.ts';
import { Story, Untruth } from './story.ts';
import { TRUST_DOMAIN } from './topology.ts';

/** Runs it. Returns the exit status; when it does, no process and no file of the run is left. */
export async function main(args: readonly string[]): Promise<number> {
  const isAsserted = args.includes('--assert');
  const story = new Story(process.stdout, isAsserted, performance.now());
  const interruption = new Interruption();
  const mesh = await Mesh.make();
  let status: number = EXIT.ok;
  try {
    const isTold = await interruption.orUntil(tell(mesh, story, isAsserted));
    if (!isTold) status = INTERRUPTED;
    else if (story.untruths > 0) status = EXIT.other;
    if (isTold && !isAsserted) await interruption.orUntil(NEVER);
  } catch (error) {
    status = EXIT.other;
    process.stderr.write(error instanceof Untruth ? `${error.message}\n` : `The story broke off: ${String(error)}\n`);
  }
  story.pause();
  const left = await mesh.stop();
  interruption.close();
  // Behind the terminal's ^C.
  if (interruption.isAsked) process.stdout.write('\n');
  tellEnd(mesh, story, left);
  if (left.length > 0) status = EXIT.internal;
  else if (isAsserted && status === EXIT.ok) story.say(`${story.truths} facts, all true`);
  // What was under way when the story broke off may still wait for processes that are gone.
  if (interruption.isAsked || status !== EXIT.ok) process.exit(status);
  return status;
}

async function tell(mesh: Mesh, story: Story, isAsserted: boolean): Promise<void> {
  story.heading(`postern demo: trust domain ${TRUST_DOMAIN}, 5 apps, 4 sidecars, everything in ${mesh.folder}`);
  await start(mesh, story);
  const load = mesh.startLoad();
  await refusals(mesh, story);
  await calls(mesh, story);
  await protocols(mesh, story);
  await reload(mesh, load, story);
  await rotation(mesh, load, story);
  await brokenPolicy(mesh, load, story);
  await cost(mesh, load, story);
  if (isAsserted) return;
  load.stop();
  mesh.keepFresh();
  story.say(
    '',
    `Try${placeToTry()}:`,
    ...(await commandsToTry(mesh)).map((command) => `  ${command}`),
    '',
    'Ctrl-C ends it and leaves nothing behind.',
  );
}

function tellEnd(mesh: Mesh, story: Story, left: readonly string[]): void {
  const found = left.length === 0 ? 'nothing left' : `left: ${left.join(', ')}`;
  story.resume();
  story.observe({
    text: `ended: ${mesh.processes.ended.length} processes and ${mesh.folder} are gone, ${found}`,
    isTrue: left.length === 0,
    wanted: 'no process and no file',
    seen: found,
  });
}

const NEVER = new Promise<never>(() => {});
