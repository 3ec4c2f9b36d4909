/** Where the claims of a verified token stand below the place that a host puts them. */
import type { CompiledSlot } from '../../plan/compiled.ts';
import { DO } from './input-tree.ts';
import type { TreeLeaf } from './input-tree.ts';

/** @param payload  keys that lead to the claims */
export function claimLeaves(slots: readonly CompiledSlot[], payload: readonly string[]): readonly TreeLeaf[] {
  return slots.flatMap((slot) => leavesOf(slot).map(({ action, path }) => ({ action, path: [...payload, ...path] })));
}

function leavesOf({ descriptor: slot, source }: CompiledSlot): readonly TreeLeaf[] {
  switch (source.kind) {
    case 'requestPrincipal':
      return [
        { path: ['iss'], action: { kind: DO.issuer, slot: 0 } },
        { path: ['sub'], action: { kind: DO.subject, slot: 0 } },
      ];
    case 'issuer':
      return [{ path: ['iss'], action: { kind: DO.filled, slot } }];
    case 'subject':
      return [{ path: ['sub'], action: { kind: DO.filled, slot } }];
    case 'audiences':
      return [{ path: ['aud'], action: { kind: DO.claim, slot } }];
    case 'presenter':
      return [{ path: ['azp'], action: { kind: DO.claim, slot } }];
    case 'claim': {
      const [first = ''] = source.path;
      const isWords = source.path.length === 1 && (first === 'scope' || first === 'permission');
      return [{ path: source.path, action: { kind: isWords ? DO.words : DO.claim, slot } }];
    }
    default:
      return [];
  }
}
