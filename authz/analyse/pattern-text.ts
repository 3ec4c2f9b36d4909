/** Patterns as texts, to tell equal ones. */
import type { SlotSource } from '../plan/compiled.ts';
import type { Pattern } from '../plan/patterns.ts';

/** One text for equal patterns. */
export function textOf(pattern: Pattern): string {
  switch (pattern.form) {
    case 'bytes':
      return pattern.key;
    case 'template':
      return `template ${pattern.segments.join('/')}`;
    case 'present':
    case 'filled':
      return pattern.form;
    default:
      return `${pattern.form} ${pattern.text}`;
  }
}

/** Patterns on an attribute as people write them. */
export function readableText({ kind }: SlotSource, patterns: readonly Pattern[]): string {
  const isAddress = kind === 'sourceIp' || kind === 'remoteIp' || kind === 'destinationIp';
  return patterns
    .map((pattern) => {
      switch (pattern.form) {
        case 'exact':
          return isAddress
            ? addressText(pattern.text)
            : kind === 'destinationPort'
              ? portText(pattern.text)
              : textValue(pattern.text);
        case 'prefix':
          if (kind === 'destinationPort') return `${pattern.text.charCodeAt(0) * 256}-${pattern.text.charCodeAt(0) * 256 + 255}`;
          return isAddress ? `${addressText(pattern.text)}.*` : `${textValue(pattern.text)}*`;
        case 'suffix':
          return `*${textValue(pattern.text)}`;
        case 'present':
        case 'filled':
          return '*';
        case 'template':
          return textValue(`/${pattern.segments.join('/')}`);
        case 'bytes':
          return textValue(pattern.key.replaceAll('\0', '*'));
      }
    })
    .join(' or ');
}

function textValue(binary: string): string {
  return Buffer.from(binary, 'latin1').toString('utf8').replaceAll('\ufffd', '/');
}

function addressText(bytes: string): string {
  const numbers = Array.from(bytes.slice(1), (character) => character.charCodeAt(0));
  if (bytes.startsWith('\x04')) return numbers.join('.');
  return Buffer.from(numbers)
    .toString('hex')
    .replace(/.{4}(?=.)/g, '$&:');
}

function portText(bytes: string): string {
  return String(bytes.charCodeAt(0) * 256 + bytes.charCodeAt(1));
}
