import { hostCopyProgram, hostCopyRefusals } from '../../volumes/host-copy.ts'
import { copyProgram, copyRefusals } from '../../volumes/programs.ts'
import { runProgram } from '../kubernetes/controllers/job-programs.ts'
import type { NasSeam } from '../seams.ts'
import type { FileModel } from './machine-state.ts'
import { words } from './shell.ts'

/**
 * Carries out the program that copies one LUN to another on a machine, on the NAS's real files: login to both, a file
 * system where there is none, the copy, logout. Undefined for any other script.
 */
export function runHostCopy(
  script: string,
  nas: NasSeam,
  initiator: string,
  address: string,
  files: Record<string, FileModel>,
): number | undefined {
  if (!script.endsWith(hostCopyProgram)) return undefined
  const set: Record<string, string> = {}
  for (const line of script.slice(0, -hostCopyProgram.length).split('\n')) {
    const [assignment = ''] = words(line)
    const at = assignment.indexOf('=')
    if (at > 0) set[assignment.slice(0, at)] = assignment.slice(at + 1)
  }
  const { FOLDER = '', RUN = '', SRC_SERIAL = '', SRC_SNAPSHOT = '', DST_SERIAL = '', FS = '' } = set
  const write = (name: string, text: string) => {
    files[`${FOLDER}/${name}`] = { text, mode: '0600' }
  }
  const fail = (code: number, said: string) => {
    write('said', said)
    return code
  }
  for (const name of ['verdict', 'said', 'log']) delete files[`${FOLDER}/${name}`]
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
    write('log', '')
    if (code === 0) write('verdict', `${DST_SERIAL} ${SRC_SNAPSHOT}\n${message}`)
    else write('said', message)
    return code
  } finally {
    for (const uuid of [SRC_SERIAL, DST_SERIAL]) nas.logout(uuid, initiator)
  }
}
