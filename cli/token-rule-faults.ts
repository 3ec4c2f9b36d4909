/**
 * What a RequestAuthentication asks for that a sidecar cannot do, found before it is in force: keys in the document that verify nothing,
 * and fields for the app whose meaning is not for a token to give. A set with such a rule is refused rather than obeyed in part.
 */
import type { SelectedJwtRule } from '#authz/policy/authentication.ts';
import type { PolicySet } from '#authz/policy/policy-set.ts';
import { readKeySet } from '#certs/jwt/key-set.ts';
import type { DocumentFault } from '#proto/prepare.ts';
import { outputNames } from '#proxy/authn/tokens/token-plan.ts';
import { foldedRule } from '#proxy/http/folded-name.ts';
import { nameBytes } from '#wire/h1/field-names.ts';

/** Faults of the rules that hold for a workload, each at the document that it stands in. */
export function tokenRuleFaults(
  rules: readonly SelectedJwtRule[],
  { requestAuthentications }: Pick<PolicySet, 'requestAuthentications'>,
): readonly DocumentFault[] {
  return rules.flatMap((rule) => {
    const document = requestAuthentications.find(({ name }) => rule.policy.endsWith(`/${name}`));
    const position = document?.position ?? { file: '', line: 0, column: 0 };
    return faultsOf(rule).map(({ fix, message }) => ({ ...position, code: 'PN0403', path: 'spec.jwtRules', message, fix }));
  });
}

function faultsOf(rule: SelectedJwtRule): readonly { readonly message: string; readonly fix: string }[] {
  const found: { message: string; fix: string }[] = [];
  const { jwks } = rule;
  if (jwks !== null) {
    const set = readKeySet(jwks);
    if (set === null) {
      const fix = 'Give each key an id of its own';
      found.push({ message: `Cannot use jwks of "${rule.issuer}": found a malformed set, or two keys of one id`, fix });
    } else if (set.keys.length === 0) {
      const left = [...new Set(set.left)].join(', ');
      const fix = 'Give public keys for signatures: RSA from 2048 bits, P-256, P-384, P-521 or Ed25519';
      found.push({ message: `Cannot use jwks of "${rule.issuer}": found no usable key${left === '' ? '' : ` (${left})`}`, fix });
    }
  }
  for (const name of outputNames(rule)) {
    const bytes = nameBytes(name);
    if (foldedRule(bytes, 0, bytes.length) === 0) continue;
    const message = `Cannot hand claims of "${rule.issuer}" on in "${name}": the field is about framing, routing, identity or credentials`;
    found.push({ message, fix: 'Choose a name of your own, such as x-user' });
  }
  return found;
}
