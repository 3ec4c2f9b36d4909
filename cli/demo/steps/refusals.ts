/** Who gets nowhere: plaintext, a client without an SVID, one of a foreign trust domain. The sidecar's log says why. */
import { findLine } from '../access-log.ts';
import type { Mesh } from '../mesh.ts';
import { probePlaintext, probeTls } from '../probe.ts';
import type { ProbeResult } from '../probe.ts';
import type { Story } from '../story.ts';
import { filesOf, inboundPort } from '../topology.ts';

export async function refusals(mesh: Mesh, story: Story): Promise<void> {
  const { orders } = mesh.workloads;
  const port = inboundPort(orders);
  const foreign = mesh.identities.issueForeign();
  const cases: readonly Refusal[] = [
    { who: 'plaintext', reason: 'plaintext_on_mtls', probe: () => probePlaintext(port) },
    { who: 'TLS without an SVID', reason: 'no_client_certificate', probe: () => probeTls(port, null) },
    { who: 'SVID of other.mesh', reason: 'svid_refused', probe: () => probeTls(port, foreign) },
  ];
  for (const { who, reason, probe } of cases) {
    const { localAddress, received, isClosed } = await probe();
    const line = await findLine(filesOf(orders).accessLog, 0, (each) => each.downstream_remote_address === localAddress);
    const found = line === null ? 'no line in its log' : `${line.reason ?? '-'}${line.detail ? ` (${line.detail})` : ''}`;
    const isSilent = !received.includes('HTTP/');
    const outcome = isClosed ? 'closed' : 'left open';
    story.fact({
      text: `${`${who} to orders' mTLS port:`.padEnd(44)}${outcome}, ${isSilent ? 'no byte' : 'bytes'} of HTTP; logged ${found}`,
      isTrue: isClosed && isSilent && line?.reason === reason && (reason !== 'svid_refused' || Boolean(line.detail)),
      wanted: `closed without a byte of HTTP, logged ${reason}`,
      seen: `${outcome}, ${received.length} bytes received, ${found}`,
    });
  }
}

interface Refusal {
  readonly who: string;
  readonly reason: string;
  readonly probe: () => Promise<ProbeResult>;
}
