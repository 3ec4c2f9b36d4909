/** Reads a NamespaceTree of `security.postern.mesh/v1alpha1`: where Kubernetes namespaces lie in the tree. */
import type { FaultList, FieldReader } from './fields.ts';
import { readMetadata } from './metadata.ts';
import { isTreePath } from './tree.ts';
import type { NamespaceTree } from './tree.ts';

/** The tree, or null when `faults` says why not. */
export function readNamespaceTree(document: FieldReader, faults: FaultList): NamespaceTree | null {
  const before = faults.faults.length;
  const { name } = readMetadata(document, faults);
  const spec = document.map('spec');
  document.finish();
  const paths = new Map<string, string>();
  for (const entry of spec?.maps('namespaces') ?? []) {
    const path = entry.text('path') ?? '';
    if (!isTreePath(path)) {
      faults.add('PN0318', entry.where('path'), entry.at('path'), `Cannot read the path "${path}"`, 'Write it like /acme/prod');
    }
    entry.texts('kubeNamespaces', (namespace, at, place) => {
      if (paths.has(namespace)) {
        faults.add('PN0318', at, place, `Cannot read the namespace "${namespace}": it lies in the tree already`);
      }
      paths.set(namespace, path);
    });
    if (!entry.hasValue('kubeNamespaces')) {
      faults.add('PN0204', entry.position, entry.at('kubeNamespaces'), 'Cannot read the node: kubeNamespaces is missing');
    }
    entry.finish();
  }
  if (spec === null || !spec.hasValue('namespaces')) {
    faults.add('PN0204', document.position, 'spec.namespaces', 'Cannot read the tree: spec.namespaces is missing');
  }
  spec?.finish();
  return faults.faults.length > before || name === null ? null : { name, paths: Object.fromEntries(paths) };
}
