/** Where a command finds the `kind: Proxy` file when none was named. */
import { existsSync } from 'node:fs';

/** The named file, else `$POSTERN_CONFIG`, `./postern.yaml`, `/etc/postern/postern.yaml`; null when there is none of them. */
export function findConfigFile(named: string | undefined, env: NodeJS.ProcessEnv): string | null {
  if (named !== undefined) return named;
  const places = [env['POSTERN_CONFIG'], './postern.yaml', '/etc/postern/postern.yaml'];
  return places.find((place) => place !== undefined && place !== '' && existsSync(place)) ?? null;
}
