import type { FileModel, Output } from './machine-state.ts'

/** What a command of somebody who is not root ends in where only root may do it. */
export function deniedTo(user: 'core', argv: string[], files: Record<string, FileModel>): Output | undefined {
  const [program = '', verb = ''] = argv
  const path = argv.at(-1) ?? ''
  const file = files[path]
  const own = file === undefined ? /^\/(home\/core|tmp)\//.test(path) : file.owner === user
  switch (program) {
    case 'cat':
      return file === undefined || own || Number(file.mode.at(-1)) & 4
        ? undefined
        : failed(`cat: ${path}: Permission denied`)
    case 'install':
      return own ? undefined : failed(`install: cannot create regular file '${path}': Permission denied`)
    case 'rm':
      return file === undefined || own ? undefined : failed(`rm: cannot remove '${path}': Permission denied`)
    case 'systemctl':
      return /^(show|is-active)$/.test(verb)
        ? undefined
        : failed('Call to systemd failed: Interactive authentication required.')
    case 'systemd-run':
      return failed('Failed to start transient service unit: Interactive authentication required.')
    default:
      return undefined
  }
}

function failed(stderr: string): Output {
  return { code: 1, stdout: '', stderr: `${stderr}\n` }
}
