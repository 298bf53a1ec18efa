import { hostCopyProgram, hostCopyRefusals } from '../../volumes/host-copy.ts'
import { copyProgram, copyRefusals } from '../../volumes/programs.ts'
import { words } from '../hosts/shell.ts'
import type { NasSeam } from '../seams.ts'
import { runProgram } from './job-programs.ts'
import type { CopyUnitEnd, DiskUser } from './nodes.ts'

/** Whether a script is the one that copies one LUN to another on a machine. */
export function isCopyUnit(script: string): boolean {
  return script.endsWith(hostCopyProgram)
}

/** What such a script is told: its variables. */
export function copyUnitSettings(script: string): Record<string, string> {
  const set: Record<string, string> = {}
  for (const line of script.slice(0, -hostCopyProgram.length).split('\n')) {
    const [assignment = ''] = words(line)
    const at = assignment.indexOf('=')
    if (at > 0) set[assignment.slice(0, at)] = assignment.slice(at + 1)
  }
  return set
}

/** The files in its folder by which it tells how it ended. */
export const copyUnitFiles = ['verdict', 'said', 'log'] as const

/**
 * Carries out the program that copies one LUN to another on a machine, on the NAS's real files: login to both, a file
 * system where there is none, the copy, logout.
 */
export function copyUnit(script: string, nas: NasSeam, { initiator, address }: DiskUser): CopyUnitEnd {
  const {
    FOLDER,
    RUN = '',
    SRC_SERIAL = '',
    SRC_SNAPSHOT = '',
    DST_SERIAL = '',
    FS = '',
  } = copyUnitSettings(script)
  const ended = (code: number, files: Record<string, string>): CopyUnitEnd => ({
    code,
    files: Object.fromEntries(Object.entries(files).map(([name, text]) => [`${FOLDER}/${name}`, text])),
  })
  const fail = (code: number, said: string) => ended(code, { said })
  try {
    for (const uuid of [SRC_SERIAL, DST_SERIAL])
      try {
        nas.login(uuid, initiator, address)
      } catch (error) {
        return fail(hostCopyRefusals.loginFailed, (error as Error).message)
      }
    const made = nas.lun(DST_SERIAL)?.fsType
    if (made === null) nas.format(DST_SERIAL, FS)
    else if (made !== FS)
      return fail(copyRefusals.destinationNotOurs, `the new disk holds ${made} that this run did not make`)
    const mounts = { '/src': nas.filesOf(SRC_SERIAL), '/dst': nas.filesOf(DST_SERIAL) }
    const { code, message } = runProgram(copyProgram, { RUN }, mounts)
    return code === 0
      ? ended(code, { log: '', verdict: `${DST_SERIAL} ${SRC_SNAPSHOT}\n${message}` })
      : ended(code, { log: '', said: message })
  } finally {
    for (const uuid of [SRC_SERIAL, DST_SERIAL]) nas.logout(uuid, initiator)
  }
}
