/**
 * Codes of what can be wrong in a `kind: Proxy` file beyond its YAML (PN01xx, authz/policy/messages.ts). Codes are stable;
 * docs/reference/messages.md is written from both tables.
 */

export const CONFIG_MESSAGES = {
  PN0501: 'The configuration file cannot be read.',
  PN0502: 'The configuration file holds no document, or more than one.',
  PN0510: 'A key is unknown.',
  PN0511: 'A required setting is missing.',
  PN0512: 'A setting has a value that is not accepted.',
  PN0513: 'Two settings contradict each other.',
  PN0520: 'The policies are valid, but the compiler cannot take them.',
  PN0521: 'There is no policy document; the last good set that was kept is in force.',
  PN0522: 'The copy that was kept of the last good policies cannot be used.',
  PN0523: 'The policies are in force, but no copy of them could be kept.',
} as const;

export type ConfigMessageCode = keyof typeof CONFIG_MESSAGES;
