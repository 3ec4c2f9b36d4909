/**
 * The demo's last will: a shell that waits until the demo is gone, in whatever way (a crash, SIGKILL), then kills what it left
 * running and removes its folder. A shell, because it costs a megabyte and runs nothing of ours that could fail with us.
 */
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';

export class Guard {
  readonly #shell: ChildProcess;

  constructor(folder: string) {
    this.#shell = spawn('/bin/sh', ['-c', SCRIPT, 'postern-demo-guard', folder], {
      // A session of its own: Ctrl-C in the terminal is for the demo alone.
      detached: true,
      cwd: '/',
      stdio: ['pipe', 'ignore', 'ignore'],
    });
    this.#shell.on('error', () => {});
    this.#shell.stdin?.on('error', () => {});
    this.#shell.unref();
  }

  get pid(): number {
    return this.#shell.pid ?? -1;
  }

  /** Takes the leader of a process group into its care. */
  add(pid: number): void {
    this.#shell.stdin?.write(`add ${pid}\n`);
  }

  /** The process has ended; its number may be somebody else's from now on. */
  drop(pid: number): void {
    this.#shell.stdin?.write(`drop ${pid}\n`);
  }

  /** Nothing is left to do. Resolves when the shell has ended. */
  async dismiss(): Promise<void> {
    if (this.#shell.exitCode !== null || this.#shell.pid === undefined) return;
    const ended = new Promise<void>((resolve) => {
      this.#shell.once('exit', () => resolve());
    });
    this.#shell.stdin?.end('done\n');
    // Nothing else may keep the loop alive any more.
    this.#shell.ref();
    await ended;
  }
}

/** End of input is the demo's death: the pipe has no other writer. */
const SCRIPT = `trap '' INT TERM HUP
pids=
while read -r word pid; do
  case $word in
    add) pids="$pids $pid" ;;
    drop) kept=; for one in $pids; do [ "$one" = "$pid" ] || kept="$kept $one"; done; pids=$kept ;;
    done) exit 0 ;;
  esac
done
for pid in $pids; do kill -s KILL -- "-$pid"; done
rm -rf -- "$1"`;
