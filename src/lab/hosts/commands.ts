import { dataScript, fetchScript, unmountedScript } from '../../hosts/data-script.ts'
import { factScript, factShell } from '../../hosts/fact-script.ts'
import { k0sScript } from '../../hosts/k0s-script.ts'
import { lockShell } from '../../hosts/lock-script.ts'
import { putShell } from '../../hosts/put-script.ts'
import { killsItsCaller } from '../seams.ts'
import { efibootmgr } from './efibootmgr.ts'
import { machineFacts } from './facts.ts'
import type { Input } from './input.ts'
import { k0s } from './k0s.ts'
import { machineK0s } from './k0s-report.ts'
import { fetchedFiles, machineData, unmountedFiles } from './local-data.ts'
import { failed, type Output, type Surroundings, said } from './machine-state.ts'
import { deniedTo } from './permissions.ts'
import { systemctl } from './systemctl.ts'
import { systemdRun } from './units.ts'

/** Runs one command, of the few that the lab's machines understand. */
export function runCommand(machine: Surroundings, argv: string[], input: Input, root: boolean): Output {
  const [program = '', ...args] = argv
  const { files } = machine.state
  const stdin = input.text
  const denied = root ? undefined : deniedTo('core', argv, files)
  if (denied) return denied
  switch (program) {
    case 'sh': {
      if (args[0] === '-c' && args[1] === factShell && stdin === factScript)
        return said(machineFacts(machine.state, machine.blueprint, machine.hostname(), machine.world))
      if (args[0] === '-c' && args[1] === factShell && stdin === dataScript)
        return said(machineData(machine.state, args.slice(3)))
      if (args[0] === '-c' && args[1] === factShell && stdin === unmountedScript)
        return said(unmountedFiles(machine.state, machine.blueprint.oldFiles ?? {}, args.slice(3)))
      if (args[0] === '-c' && args[1] === factShell && stdin === k0sScript)
        return said(machineK0s(machine.state, machine.world, machine.api(), args.slice(3)))
      if (args[0] === '-c' && args[1] === factShell && stdin === fetchScript)
        return said(fetchedFiles(machine.state, args.slice(3)))
      if (args[0] === '-c' && args[1] === putShell) return put(machine, args.slice(3), input)
      if (args[0] !== '-c' || args[1] !== lockShell)
        return failed(127, 'sh: this is not a shell; the lab knows a few commands only')
      const [text = '', lock = ''] = args.slice(3)
      if (files[lock]) return failed(0, `ln: failed to create hard link '${lock}': File exists`)
      machine.changed(`lock ${lock}`)
      files[lock] = { text, mode: '0644' }
      return said('')
    }
    case 'df': {
      const free = machine.world.suffers('no-room-for-image', machine.state.name) ? 0 : 8_000_000
      return said(
        `Filesystem 1024-blocks Used Available Capacity Mounted on\ntmpfs ${8_000_000} ${8_000_000 - free} ${free} 0% ${args.at(-1)}\n`,
      )
    }
    case 'curl':
      return args.includes('--max-time') && !args.includes('-fsSI')
        ? { ...said(''), fetches: args[args.indexOf('--max-time') + 2] ?? '' }
        : failed(127, 'sh: curl: the lab does not know how')
    case 'true':
      return said('')
    case 'id':
      return said('1000\n')
    case 'sleep':
      return { ...said(''), takesMs: Number(args[0]) * 1_000 || 0 }
    case 'uname':
      return said(args[0] === '-m' ? 'x86_64\n' : 'Linux\n')
    case 'hostname':
      return said(`${machine.hostname()}\n`)
    case 'test':
      return files[args[1] ?? ''] ? said('') : failed(1, '')
    case '/opt/bin/k0s':
      return k0s(machine, args, stdin)
    case 'cat': {
      const path = args.at(-1) ?? ''
      const file = path === '/proc/cmdline' ? { text: `${machine.state.commandLine ?? ''}\n` } : files[path]
      return file ? said(file.text) : failed(1, `cat: ${path}: No such file or directory`)
    }
    case 'tail': {
      const path = args.at(-1) ?? ''
      const file = files[path]
      return file
        ? said(file.text.slice(-Number(args[1])))
        : failed(1, `tail: cannot open '${path}' for reading: No such file or directory`)
    }
    case 'rm': {
      const paths = args.filter(a => !a.startsWith('-'))
      const below = args.some(a => /^-\w*r/.test(a))
      const meant = (path: string) =>
        paths.some(p =>
          p.endsWith('*')
            ? path.startsWith(p.slice(0, -1))
            : path === p || (below && path.startsWith(`${p}/`)),
        )
      const found = Object.keys(files).filter(meant)
      if (found.length > 0 || !paths.every(p => p.endsWith('*'))) machine.changed(`rm ${paths.join(' ')}`)
      for (const path of found) delete files[path]
      return said('')
    }
    case 'rmdir':
      return said('')
    case 'install': {
      // Folders are there where they are wanted.
      if (args.includes('-d')) return said('')
      const path = args.at(-1) ?? ''
      const mode = args[args.indexOf('-m') + 1] ?? '0755'
      machine.changed(`write ${path}`)
      files[path] = { mode, ...input, ...(root ? {} : { owner: 'core' }) }
      return said('')
    }
    case 'mktemp': {
      const path = (args.at(-1) ?? '').replace(/X+$/, machine.world.newUuid().replaceAll('-', '').slice(0, 6))
      machine.changed(`write ${path}`)
      // Folders are there where something lies in them.
      if (!args.includes('-d')) files[path] = { text: '', mode: '0600' }
      return said(`${path}\n`)
    }
    case 'dd': {
      const path = /^of=(.*)$/.exec(args.find(a => a.startsWith('of=')) ?? '')?.[1] ?? ''
      machine.changed(`write ${path}`)
      files[path] = { mode: files[path]?.mode ?? '0644', ...input }
      if (/\.upload-/.test(path) && machine.world.strikes('k0sctl-killed', machine.state.name))
        return failed(137, killsItsCaller)
      return said('')
    }
    case 'mv': {
      const [from = '', to = ''] = args.slice(-2)
      const file = files[from]
      if (!file) return failed(1, `mv: cannot stat '${from}': No such file or directory`)
      machine.changed(`write ${to}`)
      files[to] = file
      delete files[from]
      return said('')
    }
    case 'stat': {
      const path = args.at(-1) ?? ''
      const file = files[path]
      if (!file) return failed(1, `stat: cannot statx '${path}': No such file or directory`)
      return args[0] === '-c' && args[1] === '%a'
        ? said(`${file.mode.replace(/^0+(?=.)/, '')}\n`)
        : failed(1, 'stat: the lab knows -c %a alone')
    }
    case 'chmod': {
      const [mode = '', path = ''] = args.slice(-2)
      const file = files[path]
      if (!file) return failed(1, `chmod: cannot access '${path}': No such file or directory`)
      machine.changed(`write ${path}`)
      file.mode = mode
      return said('')
    }
    case 'efibootmgr':
      return efibootmgr(machine, args)
    case 'systemctl':
      return systemctl(machine, args)
    case 'systemd-run':
      return systemdRun(machine, args)
    default:
      return failed(127, `sh: ${program}: command not found`)
  }
}

/** As {@link putShell}: bytes, path, mode, and whether what is there goes first. */
function put(machine: Surroundings, [bytes, path = '', mode = '', anew]: string[], input: Input): Output {
  const { files } = machine.state
  if (anew === 'anew') delete files[path]
  if (input.bytes !== Number(bytes)) return failed(1, 'only a part of it arrived')
  machine.changed(`write ${path}`)
  files[path] = { mode, ...input }
  return said('')
}
