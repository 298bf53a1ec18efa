import { Fault } from '../../runbook/fault.ts'
import { machineNamed, sameMachine } from './identity.ts'
import type { MachineIdentity } from './power.ts'
import { idOf, listOf, type RedfishSession, type Resource } from './redfish-session.ts'

/**
 * The path of the machine that is meant. A BMC mostly serves one; a chassis serves several, and then only what the person
 * wrote decides: Fault `power-machine-ambiguous` when that fits none or more than one.
 */
export async function findSystem(
  session: RedfishSession,
  access: { where: string; machine?: string | undefined; mac?: string | undefined },
  signal: AbortSignal,
): Promise<string> {
  const root = await session.get('/redfish/v1/', signal)
  const list = await session.get(idOf(root.body.Systems) ?? '/redfish/v1/Systems', signal)
  const paths = listOf(list.body.Members)
    .map(idOf)
    .filter(p => p !== undefined)
  if (paths.length === 1) return paths[0]!
  const named = machineNamed(access.machine)
  const known = { ...named, macs: [...(named.macs ?? []), ...(access.mac === undefined ? [] : [access.mac])] }
  const all: { path: string; name: string; fits: boolean }[] = []
  for (const path of paths) {
    const { body } = await session.get(path, signal)
    const identity = await identityOf(session, body, signal)
    all.push({
      path,
      name: [body.Id ?? path, identity.serial, identity.uuid, ...identity.macs].filter(Boolean).join(' '),
      fits: body.Id === access.machine || sameMachine(identity, known).verdict === 'same',
    })
  }
  const fitting = all.filter(s => s.fits)
  if (fitting.length === 1) return fitting[0]!.path
  throw new Fault({
    code: 'power-machine-ambiguous',
    blame: 'operator',
    message: `${access.where} serves ${all.length} machines (${all.map(s => s.name).join('; ') || 'none that it names'}), and ${fitting.length} of them fit what recover.yaml says`,
    remedy:
      'Write the serial, UUID, MAC address or name of the right one into hosts.NAME.power.machine of recover.yaml',
  })
}

/** What a System says of its machine. The BMC's own network interface is under Managers and is never looked at. */
export async function identityOf(
  session: RedfishSession,
  system: Resource,
  signal: AbortSignal,
): Promise<MachineIdentity> {
  const text = (value: unknown) => (typeof value === 'string' && value.trim() ? value.trim() : undefined)
  // On Dell, SerialNumber is the board's; the machine's, as DMI has it, is the service tag.
  const dell = /dell/i.test(String(system.Manufacturer ?? ''))
  const serial = (dell ? text(system.SKU) : undefined) ?? text(system.SerialNumber)
  const uuid = text(system.UUID)?.toLowerCase()
  const model = [text(system.Manufacturer), text(system.Model)].filter(Boolean).join(' ')
  return {
    ...(serial === undefined ? {} : { serial }),
    ...(uuid === undefined ? {} : { uuid }),
    macs: await macsOf(session, system, signal),
    ...(model ? { model } : {}),
  }
}

// More than any machine at home has; each is a request to something slow.
const mostInterfaces = 16

async function macsOf(session: RedfishSession, system: Resource, signal: AbortSignal): Promise<string[]> {
  const list = idOf(system.EthernetInterfaces)
  if (list === undefined) return []
  const { body } = await session.get(list, signal).catch(thrown => {
    // Some link to what they do not have.
    if (thrown instanceof Fault) throw thrown
    return { body: {} as Resource }
  })
  const macs = new Set<string>()
  for (const member of listOf(body.Members).slice(0, mostInterfaces)) {
    const path = idOf(member)
    const nic =
      path !== undefined && member.MACAddress === undefined ? (await session.get(path, signal)).body : member
    for (const mac of [nic.PermanentMACAddress, nic.MACAddress])
      if (typeof mac === 'string' && mac !== '') macs.add(mac.toLowerCase().replaceAll('-', ':'))
  }
  return [...macs]
}
