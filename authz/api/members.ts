/** Members of a document whose shape is not known, read without trust in it. */

export type Members = Readonly<Record<string, unknown>>;

export function isMembers(value: unknown): value is Members {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** The member's own members; none where it is something else. */
export function membersAt(of: Members, name: string): Members {
  const value = Object.hasOwn(of, name) ? of[name] : undefined;
  return isMembers(value) ? value : {};
}

export function textAt(of: Members, name: string): string | null {
  const value = Object.hasOwn(of, name) ? of[name] : undefined;
  return typeof value === 'string' ? value : null;
}

export function listAt(of: Members, name: string): readonly unknown[] {
  const value = Object.hasOwn(of, name) ? of[name] : undefined;
  return Array.isArray(value) ? value : [];
}
