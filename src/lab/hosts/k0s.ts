import { createHash } from 'node:crypto'
import { gzipSync } from 'node:zlib'
import { killsItsCaller } from '../seams.ts'
import { failed, type MachineState, type Output, type Surroundings, said } from './machine-state.ts'

const binary = '/opt/bin/k0s'
/** A control plane that goes on without its service; a reboot ends it, which in a lab is to be healed. */
export const leftRunning = '/run/k0s/left-running'
const dataFile = '/var/lib/k0s/pki/ca.crt'

/** How the identity of a control plane's data begins that came from an archive. */
export const restoredMark = 'restored-'

/** Role that k0s is installed for on a machine, or undefined. */
export function installedRole(state: MachineState): 'controller' | 'worker' | undefined {
  if (state.units.k0scontroller) return 'controller'
  return state.units.k0sworker ? 'worker' : undefined
}

/** Whether this machine's k0s runs a kubelet. */
export function hasWorkload(state: MachineState): boolean {
  if (state.system !== 'flatcar') return false
  if (state.units.k0sworker?.active === 'active') return true
  return (
    state.units.k0scontroller?.active === 'active' &&
    /--enable-worker|--single/.test(state.files['/etc/k0s/arguments']?.text ?? '')
  )
}

/** Identity of the control plane's data; a machine that was written anew has none. */
export function dataIdentity(state: MachineState): string | undefined {
  return state.files[dataFile]?.text
}

/** The subset of the k0s program that k0sctl and we call, with its words on failure. */
export function k0s(machine: Surroundings, args: string[], stdin: string): Output {
  const { state, world } = machine
  if (!state.files[binary]) return failed(127, `sh: ${binary}: not found`)
  const [verb, ...rest] = args
  switch (verb) {
    case 'version':
      return said(`${state.files[binary]?.text.trim()}\n`)
    case 'config':
      return said('')
    case 'install': {
      const role = rest[0] === 'worker' ? 'worker' : 'controller'
      const unit = `k0s${role}`
      if (state.units[unit] && !rest.includes('--force=true') && !rest.includes('--force'))
        return failed(
          1,
          `Error: failed to install k0s service: Init already exists: /etc/systemd/system/${unit}.service`,
        )
      machine.changed(`k0s install ${role}`)
      state.files['/etc/k0s/arguments'] = { text: rest.join(' '), mode: '0600' }
      state.units[unit] = { active: 'inactive', result: 'success', exitCode: 0 }
      // The machine is gone in the middle of it, for whoever asked: it did what it was told, and nobody hears of it.
      return world.strikes('k0sctl-hangs', state.name) ? { ...said(''), takesMs: 'never' } : said('')
    }
    case 'status': {
      const role = installedRole(state)
      if (!role || state.units[`k0s${role}`]?.active !== 'active')
        return failed(1, 'Error: status: can\'t get "status" via "/run/k0s/status.sock": k0s is not running')
      return said(
        JSON.stringify({
          Version: state.files[binary]?.text.trim(),
          Role: role,
          Workloads: hasWorkload(state),
        }),
      )
    }
    case 'token': {
      if (!machine.api()?.ready()) return failed(1, 'Error: failed to create token: connection refused')
      const config = `clusters:\n- cluster:\n    server: https://lab\nusers:\n- user:\n    token: ${world.newUuid().slice(0, 6)}.${createHash(
        'sha256',
      )
        .update(dataIdentity(state) ?? '')
        .digest('hex')
        .slice(0, 16)}\n`
      return said(`${gzipSync(config).toString('base64')}\n`)
    }
    case 'kubeconfig':
      if (dataIdentity(state) === undefined)
        return failed(1, 'Error: open /var/lib/k0s/pki/admin.conf: no such file or directory')
      return said(machine.api()?.adminKubeconfig() ?? '')
    case 'kubectl':
      return kubectl(machine, rest, stdin)
    case 'restore': {
      const path = rest.at(-1) ?? ''
      if (installedRole(state))
        return failed(1, 'Error: k0s seems to be running! k0s must be down during the restore operation.')
      if (!state.files[path]) return failed(1, `Error: open ${path}: no such file or directory`)
      if (state.files[path]?.sha256 !== world.blueprint.backup?.sha256)
        return failed(1, `Error: failed to unpack backup archive \`${path}\`: unexpected EOF`)
      if (state.files[dataFile])
        return failed(1, 'Error: failed to restore on step `filesystem path `/var/lib/k0s/pki``: file exists')
      machine.changed('k0s restore')
      state.files[dataFile] = { text: `${restoredMark}${world.newUuid()}`, mode: '0640' }
      return world.strikes('k0s-restore-killed', state.name) ? failed(137, killsItsCaller) : said('')
    }
    case 'reset':
      if (['k0scontroller', 'k0sworker'].some(unit => state.units[unit]?.active === 'active'))
        return failed(1, 'Error: k0s seems to be running. Please stop k0s before reset.')
      machine.changed('k0s reset')
      for (const unit of ['k0scontroller', 'k0sworker']) delete state.units[unit]
      delete state.files[dataFile]
      return said('')
    default:
      return failed(1, `Error: unknown command "${verb}" for "k0s"`)
  }
}

function kubectl(machine: Surroundings, args: string[], stdin: string): Output {
  const { world, state } = machine
  const seam = machine.api()
  if (!seam?.ready() || world.suffers('worker-cannot-reach-api', state.name))
    return failed(1, 'The connection to the server localhost:6443 was refused')
  const line = args.filter(a => !a.startsWith('--kubeconfig=')).join(' ')
  if (line === 'get --raw=/readyz') return said('ok')
  if (line === 'get --raw=/version') return said('{}')
  if (line.includes('namespace kube-system')) return said(seam.clusterUid())
  const node = /^get node (\S+)/.exec(line)?.[1]
  if (node !== undefined) {
    const found = seam.node(node)
    if (!found) return failed(1, `Error from server (NotFound): nodes "${node}" not found`)
    return said(
      JSON.stringify({ status: { conditions: [{ type: 'Ready', status: found.ready ? 'True' : 'False' }] } }),
    )
  }
  if (line === 'apply -f -') {
    machine.changed('k0s kubectl apply')
    try {
      seam.apply(stdin)
    } catch (error) {
      return failed(1, `error: ${(error as Error).message}`)
    }
    return said('applied\n')
  }
  return failed(1, `error: the lab's kubectl does not know: ${line}`)
}

/** What starting the unit does: a control plane without data begins a new cluster. */
export function startK0s({ state, world }: Surroundings, unit: string): Output | undefined {
  // As a clean-up that resets a control plane whose status cannot be asked yet: everything goes, but what runs.
  if (world.suffers('k0s-left-running', state.name) && !state.files[leftRunning]) {
    delete state.units[unit]
    delete state.files[dataFile]
    state.files[leftRunning] = { text: '', mode: '0600' }
    return failed(1, `Job for ${unit}.service canceled.`)
  }
  if (world.strikes('k0sctl-fails-half-way', state.name))
    return failed(1, `Job for ${unit}.service failed because the control process exited with error code.`)
  if (unit === 'k0scontroller' && !state.files[dataFile])
    state.files[dataFile] = { text: world.newUuid(), mode: '0640' }
  return undefined
}
