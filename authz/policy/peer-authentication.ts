/** Reads a PeerAuthentication of `security.istio.io`: which ports of a workload want mutual TLS. */
import type { MtlsMode, PeerAuthentication } from './authentication.ts';
import { FieldReader } from './fields.ts';
import type { FaultList } from './fields.ts';
import { readMetadata, readSelector } from './metadata.ts';
import { checkPort } from './values.ts';

/** The document, or null when `faults` says why not. */
export function readPeerAuthentication(document: FieldReader, faults: FaultList): PeerAuthentication | null {
  const before = faults.faults.length;
  const { name, namespace, createdMs } = readMetadata(document, faults);
  const spec = document.map('spec');
  document.finish();
  const selector = spec === null ? {} : readSelector(spec, faults);
  const mtls = spec?.map('mtls') ?? null;
  const mode = mtls?.word('mode', MODES) ?? 'UNSET';
  mtls?.finish();
  const portModes = spec === null ? {} : readPorts(spec, Object.keys(selector).length > 0, faults);
  spec?.finish();
  if (faults.faults.length > before || name === null) return null;
  return { namespace, name, createdMs, selector, isForGateways: false, position: document.position, mode, portModes };
}

function readPorts(spec: FieldReader, hasSelector: boolean, faults: FaultList): Readonly<Record<string, MtlsMode>> {
  const entries = spec.entries('portLevelMtls');
  if (!spec.hasValue('portLevelMtls')) return {};
  const at = spec.at('portLevelMtls');
  if (entries.length === 0) faults.add('PN0203', spec.where('portLevelMtls'), at, 'Cannot read portLevelMtls: it names no port');
  if (!hasSelector) {
    const message = 'Cannot read portLevelMtls: ports are those of a workload, and the policy has no selector';
    faults.add('PN0205', spec.where('portLevelMtls'), at, message, 'Add selector.matchLabels');
  }
  const modes: [string, MtlsMode][] = [];
  for (const { key, keyPosition, value } of entries) {
    const path = `${at}.${key}`;
    const wrong = checkPort(key);
    if (wrong !== null) faults.add(wrong.code, keyPosition, path, wrong.message, wrong.fix);
    if (value.kind !== 'map') {
      faults.add('PN0202', value.position, path, `Cannot read ${path}: wanted a mapping`, 'Write { mode: STRICT }');
      continue;
    }
    const reader = new FieldReader(value, path, faults);
    modes.push([String(Number(key)), reader.word('mode', MODES) ?? 'UNSET']);
    reader.finish();
  }
  return Object.fromEntries(modes);
}

const MODES = ['UNSET', 'DISABLE', 'PERMISSIVE', 'STRICT'] as const satisfies readonly MtlsMode[];
