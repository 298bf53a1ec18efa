import { join } from 'node:path'
import { cached } from './cache.ts'
import { run, runWith } from './commands.ts'

/** From PyPI, since Debian has no sushy-tools: the emulator of a Redfish BMC, and OpenStack's client of one. */
const packages = [
  'bcrypt==5.0.0',
  'flask==3.1.3',
  'requests==2.34.2',
  'stevedore==5.10.0',
  'sushy==5.14.0',
  'sushy-tools==2.2.0',
  'webob==1.8.11',
  'werkzeug==3.1.9',
]

/** A Python that has them, made once; for that the network is needed. */
export function sushyTools(tell: (text: string) => void): { python: string } | { missing: string } {
  try {
    const recipe = [run('python3', '--version'), ...packages]
    const make = (folder: string) => {
      runWith({ timeoutMs: 120_000 }, 'python3', '-m', 'venv', join(folder, 'venv'))
      // By module: the programs in bin hold the name of the folder, which is another one when all is made.
      const install = ['-m', 'pip', 'install', '--quiet', '--disable-pip-version-check', ...packages]
      runWith({ timeoutMs: 300_000 }, join(folder, 'venv/bin/python'), ...install)
    }
    return { python: join(cached('sushy-tools', recipe, make, tell), 'venv/bin/python') }
  } catch (thrown) {
    return { missing: `sushy-tools could not be installed: ${String(thrown).split('\n')[0]}` }
  }
}
