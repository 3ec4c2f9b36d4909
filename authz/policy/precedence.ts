/** Which PeerAuthentication and RequestAuthentication documents hold for a workload (Istio's precedence). */
import type {
  AuthenticationDocument,
  MtlsMode,
  PeerAuthentication,
  RequestAuthentication,
  SelectedJwtRule,
} from './authentication.ts';
import type { Workload } from './model.ts';
import { hasLabels } from './model.ts';
import type { MtlsRequirement } from './workload-policies.ts';

/**
 * The document of the workload, else of its namespace, else of the mesh; of several the oldest, and of those the first by name. A
 * mode that is unset inherits from the next; with none at all nothing is required.
 */
export function mtlsRequirement(
  documents: readonly PeerAuthentication[],
  workload: Workload,
  rootNamespace: string,
): MtlsRequirement | null {
  const inNamespace = documents.filter(({ namespace }) => (namespace ?? workload.namespace) === workload.namespace);
  const isGeneral = ({ selector }: AuthenticationDocument): boolean => Object.keys(selector).length === 0;
  const own = oldest(inNamespace.filter((document) => !isGeneral(document) && hasLabels(workload, document.selector)));
  const namespaceWide = oldest(inNamespace.filter(isGeneral));
  // A selector in the root namespace is ignored by Istio, unless the workload lives there.
  const mesh = oldest(documents.filter((document) => document.namespace === rootNamespace && isGeneral(document)));
  const chain = [own, namespaceWide, mesh].filter((document) => document !== null);
  const decisive = chain.find(({ mode }) => mode !== 'UNSET') ?? null;
  const isStrict = decisive?.mode === 'STRICT';
  const ports = Object.entries(own?.portModes ?? {}).map(([port, mode]) => [port, isStrictMode(mode, isStrict)] as const);
  const deviating = ports.filter(([, strict]) => strict !== isStrict);
  if (!isStrict && deviating.length === 0) return null;
  const source = deviating.length > 0 || decisive === null ? own : decisive;
  return { isStrict, ports: Object.fromEntries(deviating), policy: titleOf(source ?? decisive, workload) };
}

/** The rules of every document that selects the workload, root namespace included, in order of their titles. */
export function jwtRulesOf(
  documents: readonly RequestAuthentication[],
  workload: Workload,
  rootNamespace: string,
): readonly SelectedJwtRule[] {
  const selecting = documents.filter(({ isForGateways, namespace, selector }) => {
    const home = namespace ?? workload.namespace;
    return !isForGateways && (home === workload.namespace || home === rootNamespace) && hasLabels(workload, selector);
  });
  const inOrder = selecting.toSorted((left, right) => compare(titleOf(left, workload), titleOf(right, workload)));
  return inOrder.flatMap((document) => document.jwtRules.map((rule) => ({ ...rule, policy: titleOf(document, workload) })));
}

function isStrictMode(mode: MtlsMode, inherited: boolean): boolean {
  return mode === 'UNSET' ? inherited : mode === 'STRICT';
}

function oldest<D extends AuthenticationDocument>(documents: readonly D[]): D | null {
  const age = ({ createdMs }: D): number => createdMs ?? Infinity;
  const [first] = documents.toSorted((left, right) => ageOrder(age(left), age(right)) || compare(left.name, right.name));
  return first ?? null;
}

/** Infinity less Infinity is no number. */
function ageOrder(left: number, right: number): number {
  return left === right ? 0 : left - right;
}

function titleOf(document: AuthenticationDocument | null, workload: Workload): string {
  return document === null ? '' : `${document.namespace ?? workload.namespace}/${document.name}`;
}

function compare(left: string, right: string): number {
  if (left === right) return 0;
  return left < right ? -1 : 1;
}
