/** Policies that are put in force while something is open. */
import { eventually, policyYaml, type Settings, type Sidecar } from './sidecar.ts';

export function allowing(rule: Settings): string {
  return policyYaml('open', { action: 'ALLOW', rules: [rule] });
}

export function denying(rule: Settings): string {
  return policyYaml('closed', { action: 'DENY', rules: [rule] });
}

/** Puts a policy file in place; resolves with the wall clock, in milliseconds, when it was seen in force. */
export async function swapPolicy(sidecar: Sidecar, name: string, text: string): Promise<number> {
  const { revision } = await sidecar.adminRecord('/policy');
  sidecar.put(`policies/${name}`, text);
  await eventually('the new policy', async () => (await sidecar.adminRecord('/policy'))['revision'] !== revision, SEEN_MS);
  return Date.now();
}

/** Time that the watch of files, the preparer and a swap may take on a busy machine; what is open is judged behind it. */
const SEEN_MS = 15_000;
