/**
 * Reads an Inventory of `security.postern.mesh/v1alpha1`: which workloads there are, so that what network policies say about labels
 * can be said about identities. A workload that it does not name is nobody whom a selector of pods could mean.
 */
import { parseIp } from '#base/cidr.ts';

import type { FaultList, FieldReader } from '../fields.ts';
import { readMetadata } from '../metadata.ts';

export interface Inventory {
  readonly namespaces: readonly InventoryNamespace[];
  readonly workloads: readonly InventoryWorkload[];
}

export interface InventoryNamespace {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
}

export interface InventoryWorkload {
  readonly namespace: string;
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly serviceAccount: string;
  /** Empty where they are not known. */
  readonly ips: readonly string[];
  readonly ports: readonly { readonly name: string; readonly port: number; readonly protocol: 'TCP' | 'UDP' | 'SCTP' }[];
}

/** The inventory, or null when `faults` says why not. */
export function readInventory(document: FieldReader, faults: FaultList): Inventory | null {
  const before = faults.faults.length;
  readMetadata(document, faults);
  const spec = document.map('spec');
  document.finish();
  const namespaces = (spec?.maps('namespaces') ?? []).map((reader) => {
    const name = required(reader, 'name', faults);
    const labels = reader.textMap('labels');
    reader.finish();
    return { name, labels };
  });
  const workloads = (spec?.maps('workloads') ?? []).map((reader) => readWorkload(reader, faults));
  spec?.finish();
  return faults.faults.length > before ? null : { namespaces, workloads };
}

export function joinInventories(inventories: readonly Inventory[]): Inventory {
  return {
    namespaces: inventories.flatMap(({ namespaces }) => namespaces),
    workloads: inventories.flatMap(({ workloads }) => workloads),
  };
}

function readWorkload(reader: FieldReader, faults: FaultList): InventoryWorkload {
  const workload = {
    namespace: required(reader, 'namespace', faults),
    name: required(reader, 'name', faults),
    labels: reader.textMap('labels'),
    serviceAccount: reader.hasValue('serviceAccount') ? required(reader, 'serviceAccount', faults) : 'default',
    ips: reader.texts('ips', (text, at, path) => {
      if (parseIp(text) === null) faults.add('PN0302', at, path, `Cannot read "${text}": found no IP address`);
    }),
    ports: reader.maps('ports').map((port) => {
      const read = {
        name: required(port, 'name', faults),
        port: port.integer('port', 1, 65_535) ?? 0,
        protocol: port.word('protocol', ['TCP', 'UDP', 'SCTP']) ?? ('TCP' as const),
      };
      port.finish();
      return read;
    }),
  };
  reader.finish();
  return workload;
}

function required(reader: FieldReader, name: string, faults: FaultList): string {
  const text = reader.text(name);
  if (text === null || text === '') {
    faults.add('PN0204', reader.where(name), reader.at(name), `Cannot read the inventory: ${name} is missing`);
  }
  return text ?? '';
}
