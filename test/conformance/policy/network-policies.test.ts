/**
 * The network policies of Kubernetes' own conformance suite, translated to identities and decided offline: every pod of its manifests
 * to every other on every TCP port that its tests use, compared with the policies' meaning pod by pod.
 */
import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { parseAllDocuments } from 'yaml';

import type { AuthzInput } from '#authz/engine/input.ts';
import { readPolicies } from '#authz/policy/read.ts';
import type { PolicySet } from '#authz/policy/policy-set.ts';
import { selectPolicies } from '#authz/policy/select.ts';
import { vectorsDir } from '#test/support/vectors.ts';

import { ENGINES } from './engines.ts';
import { isAccepted } from './network-oracle.ts';
import type { Labels, Pod, PolicyDocument } from './network-oracle.ts';

const vectors = vectorsDir();
const folder = join(vectors ?? '', 'network-policy-api');
const PORTS = [80, 8080, 5353, 53, 9003, 9005];

/** A file's policies: all together, and each document by itself, which is how some of the tests apply them. */
const files = vectors === null ? [] : ['admin_tier', 'baseline_tier', 'api_integration'].flatMap(filesOf);

function filesOf(group: string): readonly string[] {
  return readdirSync(join(folder, group)).map((name) => `${group}/${name}`);
}

describe.skipIf(vectors === null)("Kubernetes' network policies", () => {
  const manifests = vectors === null ? null : readManifests();

  test.each(files)('%s is decided by identities as pod by pod', (file) => {
    if (manifests === null) throw new Error('no manifests');
    const whole = policiesOf(file);
    const variants = [whole, ...whole.map((document) => [document]), ...changed(whole)];
    let accepted = 0;
    let count = 0;
    for (const policies of variants) {
      const set = readSet(policies, manifests);
      for (const destination of manifests.pods) {
        const workload = { namespace: destination.namespace, labels: destination.labels, serviceAccount: null };
        const selected = selectPolicies(set, workload, OPTIONS);
        const deciders = ENGINES.slice(0, 2).map(({ load }) => load(selected, { revision: '', whenNoneSelects: 'allow' }));
        for (const source of manifests.pods) {
          for (const port of PORTS) {
            const wanted = isAccepted(policies, manifests.namespaces, source, destination, port) ? 'allow' : 'deny';
            const answers = deciders.map((decide) => decide?.(inputOf(source, destination, port))?.effect);
            const asked = `${source.namespace} to ${destination.namespace}:${port}`;
            expect({ file, asked, answers }).toEqual({ file, asked, answers: [wanted, wanted] });
            count++;
            if (wanted === 'allow') accepted++;
          }
        }
      }
    }
    expect(count).toBeGreaterThan(0);
    // Files about UDP and SCTP, and about nodes, deny no TCP connection.
    if (!/udp|sctp|selector/.test(file)) expect(accepted / count).toBeLessThan(1);
    expect(accepted).toBeGreaterThan(0);
  });

  test('what cannot be said about identities is listed', () => {
    if (manifests === null) throw new Error('no manifests');
    const codes = files.flatMap((file) => {
      const policies = policiesOf(file);
      const set = readSet(policies, manifests);
      return manifests.pods.flatMap(({ labels, namespace }) =>
        selectPolicies(set, { namespace, labels, serviceAccount: null }, OPTIONS).losses.map(({ code }) => code),
      );
    });
    expect([...new Set(codes)].toSorted()).toEqual(['peer_not_expressible', 'protocol_not_carried']);
  });
});

function policiesOf(file: string): readonly PolicyDocument[] {
  // Policies of the kinds that `PolicyDocument` describes.
  return parseAllDocuments(textOf(file)).map((document) => document.toJS() as PolicyDocument);
}

/** Ports of the nodes are filled in when the suite runs. */
function textOf(file: string): string {
  return readFileSync(join(folder, file), 'utf8').replaceAll(/\{\{ index \.HostNetworkPorts (\d+) \}\}/g, '3500$1');
}

interface Manifests {
  readonly pods: readonly Pod[];
  readonly namespaces: Readonly<Record<string, Labels>>;
}

/** The suite's own edits: each policy with its rules in reverse, and with another priority. */
function changed(policies: readonly PolicyDocument[]): readonly (readonly PolicyDocument[])[] {
  const reverse = policies.map((document) => ({
    ...document,
    spec: {
      ...document.spec,
      ...(document.spec.ingress === undefined ? {} : { ingress: document.spec.ingress.toReversed() }),
      ...(document.spec.egress === undefined ? {} : { egress: document.spec.egress.toReversed() }),
    },
  }));
  const prioritised = policies.map((document) =>
    document.spec.priority === undefined
      ? document
      : { ...document, spec: { ...document.spec, priority: 1000 - document.spec.priority } },
  );
  return [reverse, prioritised];
}

function readManifests(): Manifests {
  // Namespaces and StatefulSets of core Kubernetes.
  const documents = parseAllDocuments(textOf('manifests.yaml')).map((document) => document.toJS() as Manifest);
  const namespaces = documents.filter(({ kind }) => kind === 'Namespace');
  const pods = documents.filter(({ kind }) => kind === 'StatefulSet');
  return {
    namespaces: Object.fromEntries(namespaces.map(({ metadata }) => [metadata.name, metadata.labels ?? {}])),
    pods: pods.map(({ metadata, spec }, index) => ({
      namespace: metadata.namespace ?? '',
      labels: spec?.template.metadata.labels ?? {},
      ip: `10.0.0.${index + 1}`,
    })),
  };
}

interface Manifest {
  readonly kind: string;
  readonly metadata: { readonly name: string; readonly namespace?: string; readonly labels?: Labels };
  readonly spec?: { readonly template: { readonly metadata: { readonly labels: Labels } } };
}

function readSet(policies: readonly PolicyDocument[], { namespaces, pods }: Manifests): PolicySet {
  const inventory = {
    apiVersion: 'security.postern.mesh/v1alpha1',
    kind: 'Inventory',
    metadata: { name: 'pods' },
    spec: {
      namespaces: Object.entries(namespaces).map(([name, labels]) => ({ name, labels })),
      workloads: pods.map(({ ip, labels, namespace }) => ({ namespace, name: namespace, labels, ips: [ip] })),
    },
  };
  // A file may hold two policies of one kind and name, as the suite applies them one after the other.
  const named = policies.map((policy, index) => ({
    ...policy,
    metadata: { ...policy.metadata, name: `${policy.metadata.name}-${index}` },
  }));
  const { faults, set } = readPolicies(
    [...named, inventory].map((document) => JSON.stringify(document)).join('\n---\n'),
    'f.yaml',
  );
  expect(faults).toEqual([]);
  return set;
}

function inputOf(source: Pod, destination: Pod, port: number): AuthzInput {
  const connection = {
    principal: `spiffe://cluster.local/ns/${source.namespace}/sa/default`,
    sourceIp: source.ip,
    remoteIp: source.ip,
    destinationIp: destination.ip,
    destinationPort: port,
    sni: null,
    tls: true,
    protocol: 'tcp' as const,
  };
  return { connection, request: null };
}

const OPTIONS = { rootNamespace: 'istio-system', trustDomain: 'cluster.local', trustDomainAliases: [] };
