/** Fields whose value is a secret of the caller's; what leaves the process shows it as a digest or not at all. */
export const SECRET_FIELDS: ReadonlySet<string> = new Set(['authorization', 'cookie', 'proxy-authorization', 'x-api-key']);
