/** Codes of what can be wrong in a `kind: Proxy` file. Codes are stable; docs/reference/messages.md is written from this table. */

export const CONFIG_MESSAGES = {
  PN0101: 'The file cannot be read, or is larger than 1 MB.',
  PN0102: 'The file is not valid YAML 1.2.',
  PN0103:
    'The file uses a part of YAML that is not accepted: aliases, tags, repeated keys, keys that are no text, depth over 64.',
  PN0104: 'The file holds no document, or more than one.',
  PN0110: 'A key is unknown.',
  PN0111: 'A required setting is missing.',
  PN0112: 'A setting has a value that is not accepted.',
  PN0113: 'Two settings contradict each other.',
} as const;

export type ConfigMessageCode = keyof typeof CONFIG_MESSAGES;
