/**
 * Reads a RequestAuthentication of `security.istio.io`: whose tokens a workload takes, and where they are found. What it gives is
 * plain data for whoever verifies tokens; nothing is fetched or verified here.
 */

import type { JwtRule, RequestAuthentication } from './authentication.ts';
import type { FaultList, FieldReader } from './fields.ts';
import { readAttachment, readMetadata } from './metadata.ts';
import { readDurationMs } from './times.ts';

/** The document, or null when `faults` says why not. */
export function readRequestAuthentication(document: FieldReader, faults: FaultList): RequestAuthentication | null {
  const before = faults.faults.length;
  const { name, namespace, createdMs } = readMetadata(document, faults);
  const spec = document.map('spec');
  document.finish();
  const attachment = spec === null ? { selector: {}, isForGateways: false } : readAttachment(spec, faults);
  const jwtRules = (spec?.maps('jwtRules') ?? []).map((rule) => readRule(rule, faults));
  spec?.finish();
  if (faults.faults.length > before || name === null) return null;
  return { namespace, name, createdMs, ...attachment, position: document.position, jwtRules };
}

function readRule(rule: FieldReader, faults: FaultList): JwtRule {
  const issuer = rule.text('issuer');
  if (issuer === null || issuer === '') {
    faults.add('PN0204', rule.position, rule.at('issuer'), 'Cannot read the rule: its issuer is missing');
  }
  const { jwks, jwksUri } = readKeys(rule, faults);
  const read: JwtRule = {
    issuer: issuer ?? '',
    audiences: rule.texts('audiences', nothing),
    jwksUri,
    jwks,
    fromHeaders: rule.maps('fromHeaders').map((header) => {
      const name = filledText(header, 'name', faults, HEADER_NAME);
      const prefix = header.hasValue('prefix') ? (header.text('prefix') ?? '') : '';
      header.finish();
      return { name, prefix };
    }),
    fromParams: rule.texts('fromParams', nothing),
    fromCookies: rule.texts('fromCookies', nothing),
    outputPayloadToHeader: rule.hasValue('outputPayloadToHeader')
      ? filledText(rule, 'outputPayloadToHeader', faults, HEADER_NAME)
      : null,
    outputClaimToHeaders: rule.maps('outputClaimToHeaders').map((output) => {
      const claim = filledText(output, 'claim', faults, /./);
      const header = filledText(output, 'header', faults, /^[-_A-Za-z0-9]+$/);
      output.finish();
      return { header, claim };
    }),
    forwardOriginalToken: rule.flag('forwardOriginalToken') ?? false,
    timeoutMs: readTimeout(rule, faults),
    spaceDelimitedClaims: rule.texts('spaceDelimitedClaims', nothing),
    isRequired: rule.word('presence', ['OPTIONAL', 'REQUIRED']) === 'REQUIRED',
  };
  rule.finish();
  return read;
}

function readKeys(rule: FieldReader, faults: FaultList): { readonly jwks: string | null; readonly jwksUri: string | null } {
  const jwksUri = rule.hasValue('jwksUri') ? rule.text('jwksUri') : null;
  const jwks = rule.hasValue('jwks') ? rule.text('jwks') : null;
  if (jwksUri !== null && !isHttpUrl(jwksUri)) {
    const message = `Cannot read "${jwksUri}": found no URL of http or https`;
    faults.add('PN0311', rule.where('jwksUri'), rule.at('jwksUri'), message, 'Write it like https://idp.example.com/keys');
  }
  if (jwks !== null && jwksUri !== null) {
    faults.add('PN0205', rule.where('jwks'), rule.at('jwks'), 'Cannot read the rule: it has both jwks and jwksUri');
  }
  if (jwks !== null && !isKeySet(jwks)) {
    const message = 'Cannot read jwks: found no JSON object with a list "keys"';
    faults.add('PN0312', rule.where('jwks'), rule.at('jwks'), message, 'Write it as text, {"keys": [...]}');
  }
  return { jwks, jwksUri };
}

function readTimeout(rule: FieldReader, faults: FaultList): number {
  const text = rule.hasValue('timeout') ? rule.text('timeout') : null;
  if (text === null) return DEFAULT_TIMEOUT_MS;
  const timeoutMs = readDurationMs(text);
  if (timeoutMs !== null && timeoutMs >= 1 && timeoutMs <= MAX_TIMEOUT_MS) return timeoutMs;
  const message = `Cannot read timeout: "${text}" is no duration from 1ms to 1h`;
  faults.add('PN0313', rule.where('timeout'), rule.at('timeout'), message, 'Write it like 5s or 500ms');
  return DEFAULT_TIMEOUT_MS;
}

function filledText(reader: FieldReader, name: string, faults: FaultList, form: RegExp): string {
  const text = reader.hasValue(name) ? reader.text(name) : null;
  if (text === null && reader.hasValue(name)) return '';
  if (text === null || text === '') {
    const code = text === null ? 'PN0204' : 'PN0203';
    faults.add(code, reader.where(name), reader.at(name), `Cannot read ${name}: it is missing or empty`);
  } else if (!form.test(text)) {
    faults.add(
      'PN0308',
      reader.where(name),
      reader.at(name),
      `Cannot read the header "${text}": no field can have that name here`,
    );
  }
  return text ?? '';
}

function isHttpUrl(text: string): boolean {
  if (!/^https?:\/\/[^\s\\]+$/i.test(text)) return false;
  return URL.canParse(text);
}

function isKeySet(text: string): boolean {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null && 'keys' in value && Array.isArray(value.keys);
  } catch {
    return false;
  }
}

function nothing(): void {}

const HEADER_NAME = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;
/** Istio's. */
const DEFAULT_TIMEOUT_MS = 5_000;
const MAX_TIMEOUT_MS = 3_600_000;
