import { type ChildProcess, spawn } from 'node:child_process'
import { chmodSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { until } from './commands.ts'

/** A BMC that speaks IPMI in earnest, of a machine that is two files. */
export interface FileBmc {
  address: string
  account: string
  password: string
  /** What the files say: whether it is on, and from where it boots next. */
  on(): boolean
  bootsFrom(): string
  stop(): Promise<void>
}

const guid = '4c4c4544004359108053b4c04f564433'

/** openipmi's ipmi_sim, with a script that keeps power and boot order in files; its FRU says what machine it is. */
export async function startFileBmc(folder: string, address: string): Promise<FileBmc> {
  mkdirSync(join(folder, 'state'), { recursive: true })
  const file = (name: string) => join(folder, name)
  const login = { account: 'admin', password: 'secret-of-a-BMC' }
  writeFileSync(file('power'), '0')
  writeFileSync(file('boot'), 'none')
  writeFileSync(file('fru'), fru(['Contoso', 'NUC', 'P-1', '1', 'S-4711']))
  // As ipmi_sim calls it: `get power`, `set boot pxe`, `set power 1`, `set reset 1`, `set shutdown 1`.
  writeFileSync(
    file('chassis.sh'),
    `#!/bin/sh
set -e
cd '${folder}'
op=$1; shift
case $op in
check) ;;
get) for key in "$@"; do case $key in power | boot) echo "$key:$(cat $key)" ;; *) exit 1 ;; esac; done ;;
set) while [ $# -gt 0 ]; do
    case $1 in power | boot) echo "$2" >$1 ;; shutdown) echo 0 >power ;; reset | identify) ;; *) exit 1 ;; esac
    shift 2
  done ;;
esac
`,
  )
  chmodSync(file('chassis.sh'), 0o755)
  const auths = ['callback', 'user', 'operator', 'admin'].map(
    who => `allowed_auths_${who} none md2 md5 straight`,
  )
  writeFileSync(
    file('lan.conf'),
    `name "files"
set_working_mc 0x20
  startlan 1
    addr ${address} 623
    priv_limit admin
    ${auths.join('\n    ')}
    guid ${guid}
  endlan
  chassis_control "${file('chassis.sh')}"
  user 2 true "${login.account}" "${login.password}" admin 10 none md2 md5 straight
`,
  )
  writeFileSync(
    file('sim.emu'),
    `mc_setbmc 0x20
mc_add 0x20 0 no-device-sdrs 0x23 9 8 0x9f 0x1291 0xf02 persist_sdr
mc_add_fru_data 0x20 0 ${fruSize} file 0 "${file('fru')}"
sel_enable 0x20 1000 0x0a
mc_enable 0x20
`,
  )
  const args = ['-n', '-c', file('lan.conf'), '-f', file('sim.emu'), '-s', file('state')]
  const child: ChildProcess = spawn('ipmi_sim', args, { stdio: ['ignore', 'pipe', 'pipe'] })
  let said = ''
  for (const stream of [child.stdout, child.stderr])
    stream?.on('data', chunk => {
      said += chunk
    })
  const gone = new Promise<void>(resolve => child.once('close', () => resolve()))
  await until(`ipmi_sim at ${address}`, 180_000, () => (listens(address) ? true : undefined), {
    dead: () => (child.exitCode === null ? undefined : `it ended: ${said}`),
  })
  return {
    address,
    ...login,
    on: () => readFileSync(file('power'), 'utf8').trim() === '1',
    bootsFrom: () => readFileSync(file('boot'), 'utf8').trim(),
    async stop() {
      child.kill('SIGKILL')
      await gone
    },
  }
}

/** What {@link startFileBmc}'s machine is, as its BMC tells it. */
export const fileMachine = {
  serial: 'S-4711',
  uuid: guid.replace(/^(.{8})(.{4})(.{4})(.{4})/, '$1-$2-$3-$4-'),
  macs: [],
  model: 'Contoso NUC',
}

const fruSize = 256

/** A FRU with a product area, as the Platform Management FRU Information Storage Definition lays it out. */
function fru([maker = '', ...fields]: string[]): Buffer {
  const text = (value: string) => [0xc0 | value.length, ...Buffer.from(value, 'latin1')]
  const area = [1, 0, 25, ...text(maker), ...fields.flatMap(text), 0xc1]
  while (area.length % 8 !== 7) area.push(0)
  area[1] = (area.length + 1) / 8
  const header = [1, 0, 0, 0, 1, 0, 0]
  const bytes = [...summed(header), ...summed(area)]
  return Buffer.concat([Buffer.from(bytes)], fruSize)
}

/** With a last byte that brings the sum to nought. */
function summed(bytes: number[]): number[] {
  return [...bytes, (256 - (bytes.reduce((a, b) => a + b, 0) % 256)) % 256]
}

function listens(address: string): boolean {
  const hex = address.split('.').map(n => Number(n).toString(16).padStart(2, '0'))
  return readFileSync('/proc/net/udp', 'utf8').includes(`${hex.reverse().join('').toUpperCase()}:026F`)
}
