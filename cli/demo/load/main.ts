/** The load process: a client beside an app, driven over IPC. It ends when the demo does, in whatever way that ends. */
import { LoadLoop } from './loop.ts';
import type { LoadCommand, LoadReport } from './protocol.ts';

let loop: LoadLoop | null = null;

process.on('disconnect', () => process.exit(0));
process.on('message', (message) => {
  // The parent is the demo and says nothing else.
  const command = message as LoadCommand;
  if (command.do === 'start') {
    loop?.stop();
    const { targets, perSecond } = command;
    loop = new LoadLoop({
      targets,
      perSecond,
      onChange: (target, status, atMs) => tell({ is: 'change', target, status, atMs }),
    });
  } else if (command.do === 'stop') {
    loop?.stop();
  } else {
    void loop?.nextWindow().then((counts) => tell({ is: 'window', counts }));
  }
});

function tell(report: LoadReport): void {
  process.send?.(report);
}
