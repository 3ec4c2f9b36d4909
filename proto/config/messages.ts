/** Codes of what can be wrong in a `kind: Proxy` file. Codes are stable; docs/reference/messages.md is written from this table. */

export const CONFIG_MESSAGES = {
  PN0501: 'The file cannot be read, or is larger than 1 MB.',
  PN0502: 'The file is not valid YAML 1.2.',
  PN0503:
    'The file uses a part of YAML that is not accepted: aliases, tags, repeated keys, keys that are no text, depth over 64.',
  PN0504: 'The file holds no document, or more than one.',
  PN0510: 'A key is unknown.',
  PN0511: 'A required setting is missing.',
  PN0512: 'A setting has a value that is not accepted.',
  PN0513: 'Two settings contradict each other.',
} as const;

export type ConfigMessageCode = keyof typeof CONFIG_MESSAGES;
