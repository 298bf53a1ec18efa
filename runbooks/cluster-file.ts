import { existsSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { Fault } from '../src/runbook/fault.ts'

/** `recover.yaml` itself, or the one in a folder. */
export function clusterFileIn(where: string): string {
  if (existsSync(where) && statSync(where).isFile()) return where
  const file = join(where, 'recover.yaml')
  if (existsSync(file)) return file
  throw new Fault({
    code: 'cluster-file-missing',
    blame: 'operator',
    message: `there is no recover.yaml in ${where}`,
    remedy: 'Name the file or its folder, or make one with `recover init`',
  })
}
