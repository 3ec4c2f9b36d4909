/** Bundles of a test, built by the real OPA, where every revision answers with its name; and a sidecar that asks one of them. */
import { mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';

import { opaBuild } from '#test/conformance/opa/opa.ts';

import { startUpstream, type RawUpstream } from './raw-upstream.ts';
import { policyYaml, startSidecar, type Settings, type Sidecar } from './sidecar.ts';
import { keep, mesh } from './sidecar-pair.ts';

export class OpaBundles implements Disposable {
  readonly root = mkdtempSync(join(tmpdir(), 'postern-opa-'));
  readonly #kind: 'wasm' | 'plan';

  constructor(kind: 'wasm' | 'plan' = 'wasm') {
    this.#kind = kind;
    mkdirSync(join(this.root, 'bundle'));
  }

  /**
   * @param more  more arguments of `opa build`
   * @param blocked  items that nobody may read
   */
  build(revision: string, more: readonly string[] = [], blocked: readonly string[] = []): Buffer {
    const folder = join(this.root, 'bundle');
    writeFileSync(join(folder, 'policy.rego'), POLICY);
    writeFileSync(join(folder, 'data.json'), JSON.stringify({ revision, blocked }));
    writeFileSync(join(folder, '.manifest'), JSON.stringify({ revision, roots: ['envoy', 'revision', 'blocked'] }));
    return opaBuild(folder, this.#kind, ['envoy/authz/allow', 'envoy/authz/rare'], more);
  }

  [Symbol.dispose](): void {
    rmSync(this.root, { recursive: true, force: true });
  }
}

/** Requests to anything but `/free` need the bundle's word. */
export async function startOpa(
  opa: Settings,
  files: Readonly<Record<string, string | Buffer>>,
  more: Partial<Parameters<typeof startSidecar>[0]> = {},
): Promise<{ sidecar: Sidecar; upstream: RawUpstream }> {
  const upstream = keep(await startUpstream());
  const sidecar = keep(
    await startSidecar({
      mesh,
      inbound: [{ mtls: 'STRICT', forwardTo: `127.0.0.1:${upstream.port}` }],
      policies: POLICIES,
      policySettings: { whenNoneSelects: 'allow' },
      spec: { authorizers: [{ name: 'rules', opa: { bundle: { file: 'bundle.tar.gz' }, timeout: '2s', ...opa } }] },
      beforeStart: (folder) => {
        for (const [name, content] of Object.entries(files)) {
          mkdirSync(dirname(join(folder, name)), { recursive: true });
          writeFileSync(join(folder, name), content);
        }
      },
      ...more,
    }),
  );
  return { sidecar, upstream };
}

export function replaceBundle(sidecar: Sidecar, archive: Buffer): void {
  const path = sidecar.path('bundle.tar.gz');
  writeFileSync(`${path}.next`, archive);
  renameSync(`${path}.next`, path);
}

/** Lines of a decision log or of a status log. */
export function linesOf(sidecar: Sidecar, name: string): readonly Settings[] {
  return readFileSync(sidecar.path(name), 'utf8')
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as Settings); // both formats are objects
}

const POLICIES = {
  'custom.yaml': policyYaml('outside', {
    action: 'CUSTOM',
    provider: { name: 'rules' },
    rules: [{ to: [{ operation: { notPaths: ['/free'] } }] }],
  }),
};

const POLICY = `package envoy.authz

default allow := false

http := input.attributes.request.http

allow := {
	"allowed": true,
	"headers": {"x-item": id, "x-revision": data.revision},
	"response_headers_to_add": {"x-answered-by": "opa"},
	"request_headers_to_remove": ["x-secret"],
} if {
	http.method == "GET"
	input.parsed_path = ["items", id]
	not id in data.blocked
	input.attributes.source.principal == "spiffe://cluster.local/ns/test/sa/web"
}

allow if {
	http.method == "POST"
	input.parsed_body.amount < 100
}

allow := {
	"allowed": false,
	"http_status": 401,
	"headers": {"www-authenticate": "Bearer"},
	"body": "who are you",
} if {
	input.parsed_path = ["who"]
}

allow := {"allowed": "yes"} if input.parsed_path = ["odd"]

allow := "text" if input.parsed_path = ["conflict"]

allow := 7 if input.parsed_path = ["conflict"]

allow if {
	input.parsed_path = ["loop"]
	some a in numbers.range(1, 1000)
	some b in numbers.range(1, 1000)
	some c in numbers.range(1, 1000)
	a + b + c == 7000
}

allow if {
	input.parsed_path = ["memory"]
	xs := [x | some a in numbers.range(1, 2000); some b in numbers.range(1, 2000); x := sprintf("%d-%d", [a, b])]
	count(xs) == 0
}

allow if {
	input.parsed_path = ["range"]
	count(numbers.range(0, 1000000000000)) == 1
}

# It has no default.
rare if input.parsed_path = ["rare"]
`;
