/** Base paths of an API: `basePath` of OpenAPI 2.0, `servers` of 3.x. Hosts are not kept: whose API it is, the policies' selectors say. */
import type { ApiFaults } from './faults.ts';
import { isMembers, listAt, membersAt, textAt } from './members.ts';
import type { Members } from './members.ts';

/** Of OpenAPI 2.0; '' for none. */
export function basePathOf(document: Members, faults: ApiFaults): readonly string[] {
  const written = textAt(document, 'basePath') ?? '';
  return [checkedBase(written, 'basePath', faults)];
}

/** Of the nearest object that lists servers, each base path once; `['']` where none does. */
export function serverPathsOf(
  owners: readonly { readonly of: Members; readonly where: string }[],
  faults: ApiFaults,
): readonly string[] {
  const nearest = owners.find(({ of }) => listAt(of, 'servers').length > 0);
  if (nearest === undefined) return [''];
  const where = nearest.where === '' ? 'servers' : `${nearest.where}.servers`;
  const found = new Set<string>();
  for (const [index, server] of listAt(nearest.of, 'servers').entries()) {
    if (isMembers(server))
      for (const url of expand(server, `${where}[${index}]`, faults)) found.add(pathOf(url, `${where}[${index}]`, faults));
  }
  return [...found];
}

/** The URL with its variables filled in: every value of an enum, else the default. */
function expand(server: Members, where: string, faults: ApiFaults): readonly string[] {
  const variables = membersAt(server, 'variables');
  let urls = [textAt(server, 'url') ?? ''];
  for (const [name, variable] of Object.entries(variables)) {
    if (!isMembers(variable) || !urls[0]?.includes(`{${name}}`)) continue;
    const written = listAt(variable, 'enum').filter((value) => typeof value === 'string');
    if (written.length === 0) {
      const message = `The variable "${name}" of a server has no enum: it is taken for "${textAt(variable, 'default') ?? ''}"`;
      faults.add('api_server_variable', where, message, 'List its values in enum');
    }
    const values = written.length === 0 ? [textAt(variable, 'default') ?? ''] : written;
    urls = urls.flatMap((url) => values.map((value) => url.replaceAll(`{${name}}`, () => value)));
    if (urls.length > MAX_URLS) {
      faults.add('api_too_large', where, `Cannot read the server: found more than ${MAX_URLS} values of its variables`);
      return [];
    }
  }
  return urls;
}

function pathOf(url: string, where: string, faults: ApiFaults): string {
  const afterHost = /^(?:[a-zA-Z][a-zA-Z0-9+.-]*:)?\/\/[^/?#]*(.*)$/.exec(url)?.[1];
  return checkedBase(afterHost ?? url, where, faults);
}

function checkedBase(written: string, where: string, faults: ApiFaults): string {
  const base = written.replace(/\/+$/, '');
  if (base === '' || (base.startsWith('/') && !/[?#{}]/.test(base))) return base;
  faults.add('api_server_malformed', where, `Cannot read the base path "${written}": wanted a path that starts with "/"`);
  return '';
}

const MAX_URLS = 64;
