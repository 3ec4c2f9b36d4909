/**
 * Network policies as stages of a decision: what the workload's own policies accept (ingress), and for each kind of caller that the
 * inventory knows what its policies let out to this workload (egress). Both ends must accept.
 */
import type { Expression } from '../expression.ts';
import { FALSE, TRUE } from '../expression.ts';
import type { Lose, PolicyLoss } from '../losses.ts';
import type { Workload } from '../model.ts';
import type { NetworkRule, NetworkStage, NetworkTier } from '../workload-policies.ts';
import type { Inventory, InventoryWorkload } from './inventory.ts';
import type { NetworkPeer, NetworkPolicy, NetworkPolicyRule, NetworkPort } from './network-policy.ts';
import { selectsAll } from './network-policy.ts';
import { accountExpression, accountOf, addresses, callersOf, namespaceExpression, selectsPod } from './pods.ts';

export interface NetworkView {
  readonly stages: readonly NetworkStage[];
  readonly losses: readonly PolicyLoss[];
}

export function networkView(policies: readonly NetworkPolicy[], inventory: Inventory, workload: Workload): NetworkView {
  if (policies.length === 0) return { stages: [], losses: [] };
  return new StageMaker(policies, inventory, workload).make();
}

class StageMaker {
  readonly #policies: readonly NetworkPolicy[];
  readonly #inventory: Inventory;
  readonly #workload: Workload;
  readonly #losses = new Map<string, PolicyLoss>();

  constructor(policies: readonly NetworkPolicy[], inventory: Inventory, workload: Workload) {
    this.#policies = policies.toSorted(inOrder);
    this.#inventory = inventory;
    this.#workload = workload;
  }

  make(): NetworkView {
    const ingress = this.#policies.filter((policy) => policy.ingress !== null && this.#isSubject(policy, this.#workload));
    const stages: NetworkStage[] = [];
    if (ingress.length > 0) stages.push({ direction: 'ingress', applies: TRUE, tiers: this.#tiers(ingress, 'ingress') });
    stages.push(...this.#egressStages());
    return { stages, losses: [...this.#losses.values()] };
  }

  /** One stage for all callers that the same policies are about. */
  #egressStages(): readonly NetworkStage[] {
    const outgoing = this.#policies.filter(({ egress }) => egress !== null);
    if (outgoing.length === 0) return [];
    const groups = new Map<string, { policies: readonly NetworkPolicy[]; callers: InventoryWorkload[]; strangers: string[] }>();
    const group = (policies: readonly NetworkPolicy[]) => {
      const key = policies.map((policy) => this.#policies.indexOf(policy)).join(' ');
      const known = groups.get(key) ?? { policies, callers: [], strangers: [] };
      groups.set(key, known);
      return known;
    };
    for (const caller of this.#inventory.workloads) {
      group(outgoing.filter((policy) => this.#isSubject(policy, caller))).callers.push(caller);
    }
    for (const namespace of this.#namespaces(outgoing)) {
      group(outgoing.filter((policy) => this.#isWholeSubject(policy, namespace))).strangers.push(namespace);
    }
    return [...groups.values()].flatMap(({ callers, policies, strangers }) => {
      if (policies.length === 0) return [];
      const applies: Expression = { kind: 'any', of: [...this.#callers(callers, policies), ...this.#strangers(strangers)] };
      return [{ direction: 'egress' as const, applies, tiers: this.#tiers(policies, 'egress') }];
    });
  }

  /** Callers by their accounts; one that pods with other policies share is told apart by address, or counts wholly. */
  #callers(callers: readonly InventoryWorkload[], policies: readonly NetworkPolicy[]): readonly Expression[] {
    return [...Map.groupBy(callers, accountOf)].map(([account, members]) => {
      const identity = accountExpression([account]);
      const all = this.#inventory.workloads.filter((workload) => accountOf(workload) === account);
      if (members.length === all.length) return identity;
      if (all.every(({ ips }) => ips.length > 0)) return { kind: 'all', of: [identity, addresses(members)] };
      for (const policy of policies) {
        this.#lose(policy)('identity_shared', `${account} is the account of pods with and without this policy`);
      }
      return identity;
    });
  }

  /** Members of a namespace whom the inventory does not know. */
  #strangers(namespaces: readonly string[]): readonly Expression[] {
    if (namespaces.length === 0) return [];
    const known = this.#inventory.workloads.filter(({ namespace }) => namespaces.includes(namespace)).map(accountOf);
    const inside = namespaceExpression(namespaces);
    if (known.length === 0) return [inside];
    return [{ kind: 'all', of: [inside, { kind: 'not', of: accountExpression([...new Set(known)]) }] }];
  }

  #namespaces(policies: readonly NetworkPolicy[]): ReadonlySet<string> {
    return new Set([
      ...this.#inventory.namespaces.map(({ name }) => name),
      ...this.#inventory.workloads.map(({ namespace }) => namespace),
      ...policies.flatMap(({ namespace }) => namespace ?? []),
    ]);
  }

  #isSubject(policy: NetworkPolicy, pod: Pick<Workload, 'namespace' | 'labels'>): boolean {
    return selectsPod(policy.subject, pod, this.#homeOf(policy), this.#inventory);
  }

  #isWholeSubject(policy: NetworkPolicy, namespace: string): boolean {
    return selectsAll(policy.subject.pods) && this.#isSubject(policy, { namespace, labels: {} });
  }

  /** A NetworkPolicy that names no namespace is of the workload's. */
  #homeOf({ namespace, tier }: NetworkPolicy): string | null {
    return tier === 'Namespace' ? (namespace ?? this.#workload.namespace) : null;
  }

  #tiers(policies: readonly NetworkPolicy[], direction: 'ingress' | 'egress'): readonly NetworkTier[] {
    return (['Admin', 'Namespace', 'Baseline'] as const).flatMap((tier) => {
      const here = policies.filter((policy) => policy.tier === tier);
      const [first] = here;
      if (first === undefined) return [];
      const rules = here.flatMap((policy) => (policy[direction] ?? []).map((rule) => this.#rule(policy, rule, direction)));
      // Where a NetworkPolicy selects a pod, what none of them accepts is denied.
      return [{ rules, otherwise: tier === 'Namespace' ? { deniedBy: this.#titleOf(first) } : ('next' as const) }];
    });
  }

  #rule(policy: NetworkPolicy, rule: NetworkPolicyRule, direction: 'ingress' | 'egress'): NetworkRule {
    const lets = rule.action === 'accept';
    const peers = rule.peers === null ? [] : [this.#peers(policy, rule.peers, direction, lets)];
    const ports = rule.ports === null ? [] : [this.#ports(policy, rule.ports, lets)];
    const { action, name, position } = rule;
    return { policy: this.#titleOf(policy), name, action, match: { kind: 'all', of: [...peers, ...ports] }, position };
  }

  #peers(policy: NetworkPolicy, peers: readonly NetworkPeer[], direction: 'ingress' | 'egress', lets: boolean): Expression {
    const home = this.#homeOf(policy);
    const of = peers.map((peer): Expression => {
      if (peer.kind === 'block') return block(direction === 'ingress' ? 'sourceIp' : 'destinationIp', peer.cidr, peer.except);
      if (peer.kind === 'other') {
        this.#lose(policy)('peer_not_expressible', `${peer.what} never match`);
        return FALSE;
      }
      if (direction === 'ingress') return callersOf(peer.selection, home, this.#inventory, lets, this.#lose(policy));
      return selectsPod(peer.selection, this.#workload, home, this.#inventory) ? TRUE : FALSE;
    });
    return { kind: 'any', of };
  }

  #ports(policy: NetworkPolicy, ports: readonly NetworkPort[], lets: boolean): Expression {
    const of = ports.map((port): Expression => {
      if (port.protocol !== null && port.protocol !== 'TCP') {
        this.#lose(policy)('protocol_not_carried', `rules about ${port.protocol} never match`);
        return FALSE;
      }
      if (!('name' in port)) return range(port.low, port.high);
      const named = this.#namedPorts(port.name);
      if (named.length > 0) return { kind: 'any', of: named.map((number) => range(number, number)) };
      this.#lose(policy)('named_port_unknown', `"${port.name}" ${lets ? 'matches no port' : 'matches every port'}`);
      return lets ? FALSE : TRUE;
    });
    return { kind: 'any', of };
  }

  /** Ports of that name of the workload, as the inventory knows it by namespace and labels. */
  #namedPorts(name: string): readonly number[] {
    const { labels, namespace } = this.#workload;
    const isThis = (other: InventoryWorkload): boolean =>
      other.namespace === namespace && Object.entries(other.labels).every(([label, value]) => labels[label] === value);
    const ports = this.#inventory.workloads.filter(isThis).flatMap((workload) => workload.ports);
    return [...new Set(ports.filter((port) => port.name === name && port.protocol === 'TCP').map(({ port }) => port))];
  }

  #lose(policy: NetworkPolicy): Lose {
    const title = this.#titleOf(policy);
    return (code, message) => void this.#losses.set(`${code} ${title} ${message}`, { code, policy: title, message });
  }

  #titleOf(policy: NetworkPolicy): string {
    const home = this.#homeOf(policy);
    return home === null ? policy.name : `${home}/${policy.name}`;
  }
}

function block(kind: 'sourceIp' | 'destinationIp', cidr: string, except: readonly string[]): Expression {
  const within = (texts: readonly string[]): Expression => ({
    kind: 'match',
    attribute: { kind },
    values: 'any',
    comparisons: texts.map((text) => ({ form: 'cidr', text })),
  });
  if (except.length === 0) return within([cidr]);
  return { kind: 'all', of: [within([cidr]), { kind: 'not', of: within(except) }] };
}

function range(low: number, high: number): Expression {
  return { kind: 'match', attribute: { kind: 'destinationPort' }, values: 'any', comparisons: [{ form: 'range', low, high }] };
}

/** By priority, then by name: equal priorities leave the order to us. */
function inOrder(left: NetworkPolicy, right: NetworkPolicy): number {
  if (left.priority !== right.priority) return left.priority - right.priority;
  const [one, other] = [`${left.namespace ?? ''}/${left.name}`, `${right.namespace ?? ''}/${right.name}`];
  if (one === other) return 0;
  return one < other ? -1 : 1;
}
