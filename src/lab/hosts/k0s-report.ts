import { k0sMark } from '../../hosts/k0s-script.ts'
import type { ApiSeam } from '../seams.ts'
import type { World } from '../world.ts'
import { dataIdentity, installedRole, leftRunning } from './k0s.ts'
import type { MachineState } from './machine-state.ts'

/** How far a clock is off; k0sctl bears 30 s. */
const skewSeconds = 45

/** What the k0s script prints on an emulated machine. */
export function machineK0s(
  state: MachineState,
  world: World,
  api: ApiSeam | undefined,
  [, address = '']: string[],
): string {
  const { name, files, units } = state
  const role = installedRole(state)
  const unit = role && `k0s${role}`
  const runs = unit !== undefined && units[unit]?.active === 'active'
  const orphan = files[leftRunning] !== undefined && world.suffers('k0s-left-running', name)
  const old = world.suffers('old-control-plane', name)
  const data = [
    ...(old || dataIdentity(state) !== undefined
      ? ['/var/lib/k0s/db/state.db', '/var/lib/k0s/pki/ca.key']
      : []),
  ]
  const controls = runs && role === 'controller'
  const ready = controls && api?.ready() === true
  // Asked of a control plane that is there: one that is not would be made by the question.
  const uid = () =>
    world.suffers('other-cluster-answers', name) ? world.uuidFor('another cluster') : api?.clusterUid()
  return [
    '',
    `=== clock\n${Math.floor(Date.now() / 1000) + (world.suffers('clock-skew', name) ? skewSeconds : 0)}`,
    `=== version\n${files['/opt/bin/k0s']?.text.trim() ?? ''}`,
    `=== leftovers\n${Object.keys(files)
      .filter(path => /^\/opt\/bin\/\.upload-|^\/tmp\/[^/]+\/(?:\.upload-|k0s_backup\.tar\.gz$)/.test(path))
      .join('\n')}`,
    `=== units\n${unit === undefined ? '' : `${unit} ${units[unit]?.active ?? 'inactive'}`}`,
    `=== processes\n${runs || orphan ? `4711 /opt/bin/k0s ${role ?? 'controller'}` : ''}`,
    `=== data\n${data.join('\n')}`,
    `=== mark\n${files[k0sMark]?.text ?? ''}`,
    `=== status\n${runs ? JSON.stringify({ Role: role }) : ''}`,
    `=== readyz\n${ready ? '[+]ping ok\n[+]etcd ok\nreadyz check passed' : ''}`,
    `=== uid\n${ready ? uid() : ''}`,
    `=== api\n${address === '' || world.suffers('worker-cannot-reach-api', name) || !api?.ready() ? '000' : '401'}`,
    '=== end',
  ].join('\n')
}
