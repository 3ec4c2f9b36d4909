/**
 * How the tests run: by Node itself, types stripped, so that what is tested is what runs. Three projects, told apart by place:
 * `unit` beside the code (property tests included), `conformance` (cases as data) and `integration` (real processes).
 */
import { defineConfig } from 'vitest/config';

const outside = ['**/node_modules/**', 'dist/**', '.peers/**', '.postern/**'];

export default defineConfig({
  test: {
    experimental: { viteModuleRunner: false },
    pool: 'forks',
    maxWorkers: 2,
    setupFiles: ['test/support/setup.ts'],
    testTimeout: 20_000,
    hookTimeout: 30_000,
    teardownTimeout: 10_000,
    projects: [
      {
        extends: true,
        test: {
          name: 'unit',
          include: ['**/*.test.ts'],
          exclude: [...outside, 'test/{attacks,conformance,integration,docs}/**'],
        },
      },
      {
        extends: true,
        test: { name: 'conformance', include: ['test/conformance/**/*.test.ts'], exclude: outside, testTimeout: 60_000 },
      },
      {
        extends: true,
        test: {
          name: 'integration',
          include: ['test/{attacks,integration,docs}/**/*.test.ts'],
          exclude: outside,
          testTimeout: 60_000,
          // Real processes with deadlines on a machine that others use too: a stall may cost one try, a fault costs both.
          retry: process.env['CI'] === undefined ? 0 : 1,
        },
      },
    ],
  },
});
