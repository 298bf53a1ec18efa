import { Fault } from '../../runbook/fault.ts'
import type { MachineIdentity } from './power.ts'

/** What is known of the machine that is meant: from itself, from an earlier look, or from the person's own files. */
export interface KnownMachine {
  serial?: string | undefined
  uuid?: string | undefined
  macs?: readonly string[] | undefined
}

/** Whether a BMC's machine and the one that is meant are one and the same. Texts are for a person. */
export type Sameness =
  | { verdict: 'same'; by: string[] }
  | { verdict: 'other'; differs: string[] }
  | { verdict: 'unproven'; why: string }

/**
 * Compares serial, UUID and MAC addresses, as far as both sides tell them and they are not the filler of a board's maker.
 * A UUID or a MAC address beats a serial: machines in one chassis report the chassis's serial, and Dell's BMC gives the
 * board's. Where UUID and MAC address contradict each other it is another machine: makers have shipped equal UUIDs.
 */
export function sameMachine(seen: MachineIdentity, known: KnownMachine): Sameness {
  const by: string[] = []
  const strong: string[] = []
  const weak: string[] = []
  const uuids = [uuidOf(seen.uuid), uuidOf(known.uuid)] as const
  if (uuids[0] && uuids[1]) {
    if (uuidForms(uuids[0]).includes(uuids[1])) by.push(`UUID ${seen.uuid}`)
    else strong.push(`UUID ${seen.uuid}, not ${known.uuid}`)
  }
  const macs = [macsOf(seen.macs), macsOf(known.macs ?? [])] as const
  if (macs[0].length > 0 && macs[1].length > 0) {
    const both = macs[0].filter(mac => macs[1].includes(mac))
    if (both.length > 0) by.push(`MAC address ${both.join(', ')}`)
    else strong.push(`MAC addresses ${macs[0].join(', ')}, not ${macs[1].join(', ')}`)
  }
  const serials = [serialOf(seen.serial), serialOf(known.serial)] as const
  if (serials[0] && serials[1]) {
    if (serials[0] === serials[1]) by.push(`serial ${seen.serial}`)
    else weak.push(`serial ${seen.serial}, not ${known.serial}`)
  }
  const proven = by.some(what => !what.startsWith('serial'))
  if (strong.length > 0 || (weak.length > 0 && !proven))
    return { verdict: 'other', differs: [...strong, ...weak] }
  if (by.length > 0) return { verdict: 'same', by }
  return {
    verdict: 'unproven',
    why: `its BMC tells ${told(seen)}, and of the machine is known ${told({ ...known, macs: [...(known.macs ?? [])] })}`,
  }
}

/**
 * Refuses to touch the power of a machine that is not the one that is meant: Fault `power-other-machine`, or
 * `power-machine-unproven` where there is nothing to compare and the person has not vouched for it.
 * @param vouched recover.yaml says `machine: unchecked` for this host's power
 * @returns what proved it, for a note
 */
export function assertSameMachine(
  host: string,
  where: string,
  seen: MachineIdentity,
  known: KnownMachine,
  vouched: boolean,
): string {
  const sameness = sameMachine(seen, known)
  if (sameness.verdict === 'same') return `${where} belongs to ${host}: ${sameness.by.join(', ')}`
  if (sameness.verdict === 'other')
    throw new Fault({
      code: 'power-other-machine',
      blame: 'operator',
      message: `${where} belongs to another machine than ${host}: ${sameness.differs.join('; ')}; its power was not touched`,
      remedy:
        'Put the right BMC’s address into recover.yaml (hosts.NAME.power), or correct what it says of the machine (mac, power.machine)',
    })
  if (vouched) return `${where} is taken for ${host}’s because recover.yaml says so; ${sameness.why}`
  throw new Fault({
    code: 'power-machine-unproven',
    blame: 'operator',
    message: `nothing proves that ${where} belongs to ${host}: ${sameness.why}; its power was not touched`,
    remedy:
      'Write the machine’s serial, UUID or a MAC address as the BMC reports it into hosts.NAME.power.machine of recover.yaml; or `machine: unchecked` where it reports none and you know that it is the right one',
  })
}

/** Reads `power.machine` of recover.yaml: a MAC address, a UUID, or else a serial. `unchecked` says nothing. */
export function machineNamed(text: string | undefined): KnownMachine {
  if (text === undefined || text === 'unchecked') return {}
  if (macsOf([text]).length === 1) return { macs: [text] }
  return uuidOf(text) === undefined ? { serial: text } : { uuid: text }
}

function told({ serial, uuid, macs }: MachineIdentity | (KnownMachine & { macs: string[] })): string {
  const words = [
    ...(serial === undefined ? [] : [`the serial ${serial}`]),
    ...(uuid === undefined ? [] : [`the UUID ${uuid}`]),
    ...(macs.length === 0 ? [] : [`the MAC address ${macs.join(', ')}`]),
  ]
  return words.length === 0 ? 'nothing to compare' : words.join(', ')
}

// What boards say whose maker did not fill it in.
const filler =
  /^(?:to be filled.*|default string|system serial number|not (?:specified|available|applicable|present)|n\/?a|none|null|unknown|empty|invalid|oem|serial|0123456789|123456789|1234567890|(.)\1*)$/i

function serialOf(text: string | undefined): string | undefined {
  const plain = text?.trim().toUpperCase()
  return plain && !filler.test(plain) ? plain : undefined
}

/** MAC addresses that a network card can have, in one spelling: not empty, not broadcast. */
export function macsOf(macs: readonly string[]): string[] {
  return macs
    .map(mac => mac.trim().toLowerCase().replaceAll('-', ':'))
    .filter(mac => /^[0-9a-f]{2}(?::[0-9a-f]{2}){5}$/.test(mac) && !/^(?:00:){5}00$|^(?:ff:){5}ff$/.test(mac))
}

/** 32 hex digits; undefined for what no machine has, such as AMI's 03000200-0400-0500-0006-000700080009. */
function uuidOf(text: string | undefined): string | undefined {
  const hex = text?.toLowerCase().replaceAll(/[^0-9a-f]/g, '') ?? ''
  if (hex.length !== 32 || /^(.)\1*$/.test(hex)) return undefined
  return hex === '03000200040005000006000700080009' ? undefined : hex
}

/**
 * One UUID in the orders in which firmware, Redfish and IPMI write its bytes: SMBIOS has the first three fields little
 * endian, IPMI all sixteen bytes reversed, and not every BMC converts.
 */
function uuidForms(hex: string): string[] {
  const reversed = bytesOf(hex).reverse().join('')
  return [hex, fieldsSwapped(hex), reversed, fieldsSwapped(reversed)]
}

function fieldsSwapped(hex: string): string {
  const flip = (from: number, to: number) => bytesOf(hex.slice(from, to)).reverse().join('')
  return flip(0, 8) + flip(8, 12) + flip(12, 16) + hex.slice(16)
}

function bytesOf(hex: string): string[] {
  return hex.match(/../g) ?? []
}
