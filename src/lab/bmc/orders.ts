import type { BootTarget } from '../seams.ts'
import type { Bmc, Reply } from './bmc.ts'
import { missing, notInList, Refused } from './refusals.ts'
import { bootNames, bootSettings, drivePath, type Resource, resetTypes, system } from './resources.ts'
import { beginTask } from './tasks.ts'

/** Changes a resource: what is booted next, or where a BMC wants it so, what is in the drive. */
export function patch(bmc: Bmc, path: string, body: Resource): Reply {
  count(bmc, `PATCH ${path}`)
  const { Boot: boot, ...others } = body
  const holder = bmc.quirks.has('boot-settings-apart') ? bootSettings : system
  if (path === holder && boot !== undefined && Object.keys(others).length === 0) {
    setBoot(bmc, boot as Resource)
    return { status: 204 }
  }
  if (path === drivePath(bmc.quirks) && bmc.quirks.has('media-by-patch')) {
    if (body.Image) insert(bmc, body)
    else bmc.machine.ejectMedia()
    return { status: 204 }
  }
  throw new Refused(
    400,
    'Base.1.15.PropertyNotWritable',
    `The property ${Object.keys(body)[0] ?? ''} is a read only property and cannot be assigned a value.`,
  )
}

/** Carries out an action: of the power button, or of the drive. */
export function act(bmc: Bmc, path: string, body: Resource): Reply {
  const drive = drivePath(bmc.quirks)
  count(bmc, `POST ${path} ${String(body.ResetType ?? '')}`.trim())
  if (path === `${system}/Actions/ComputerSystem.Reset`) return reset(bmc, String(body.ResetType))
  const media = !bmc.quirks.has('media-by-patch') && !bmc.quirks.has('no-media')
  if (media && path === `${drive}/Actions/VirtualMedia.InsertMedia`) {
    const [extra] = Object.keys(body).filter(key => key !== 'Image')
    if (extra !== undefined && bmc.quirks.has('media-image-only'))
      throw new Refused(
        400,
        'Base.1.15.ActionParameterUnknown',
        `The action InsertMedia was submitted with the invalid parameter ${extra}.`,
      )
    insert(bmc, body)
    return done(bmc)
  }
  if (media && path === `${drive}/Actions/VirtualMedia.EjectMedia`) {
    bmc.machine.ejectMedia()
    return done(bmc)
  }
  throw missing(path)
}

function setBoot(bmc: Bmc, boot: Resource): void {
  const {
    BootSourceOverrideEnabled: enabled,
    BootSourceOverrideTarget: target,
    BootSourceOverrideMode: mode,
  } = boot
  if (mode !== undefined && bmc.quirks.has('no-boot-mode'))
    throw new Refused(
      400,
      'Base.1.15.PropertyUnknown',
      'The property BootSourceOverrideMode is not in the list of valid properties for the resource.',
    )
  if (target === 'None' && bmc.quirks.has('no-target-none'))
    throw notInList('BootSourceOverrideTarget', target)
  const found = (Object.keys(bootNames) as BootTarget[]).find(name => bootNames[name] === target)
  if (target !== undefined && target !== 'None' && !found) throw notInList('BootSourceOverrideTarget', target)
  if (enabled !== undefined && !['Once', 'Continuous', 'Disabled'].includes(String(enabled)))
    throw notInList('BootSourceOverrideEnabled', enabled)
  if (bmc.world.strikes('bmc-lies', bmc.name)) return
  if (bmc.quirks.has('boot-continuous')) {
    // It hears the target only; a machine at rest boots its disk.
    if (found) bmc.machine.setBootOverride(found === 'disk' ? undefined : found)
  } else bmc.machine.setBootOverride(enabled === 'Disabled' || target === 'None' ? undefined : found)
}

function insert(bmc: Bmc, body: Resource): void {
  if (typeof body.Image !== 'string' || !/^https?:\/\//.test(body.Image))
    throw new Refused(
      400,
      'Base.1.15.ActionParameterMissing',
      'The action InsertMedia requires the parameter Image.',
    )
  if (bmc.machine.media() !== undefined)
    throw new Refused(
      400,
      'Base.1.15.ResourceInUse',
      'The change could not be made because an image is inserted already.',
    )
  try {
    bmc.machine.insertMedia(body.Image)
  } catch (error) {
    throw new Refused(
      403,
      'Base.1.15.ActionNotSupported',
      error instanceof Error ? error.message : String(error),
    )
  }
}

function reset(bmc: Bmc, type: string): Reply {
  if (!resetTypes.includes(type)) throw notInList('ResetType', type)
  if (bmc.world.suffers('bmc-refuses', bmc.name))
    throw new Refused(
      403,
      'Base.1.15.InsufficientPrivilege',
      'There are insufficient privileges for the account.',
    )
  if (bmc.world.strikes('bmc-task-fails', bmc.name)) return beginTask(bmc, true)
  const on = bmc.machine.on()
  if (on === (type === 'On' || type === 'ForceOn'))
    throw new Refused(
      409,
      'Base.1.15.InvalidOperationForSystemState',
      `The operation could not be completed because the machine is ${on ? 'on' : 'off'}.`,
    )
  if (bmc.world.strikes('bmc-lies', bmc.name)) return done(bmc)
  if (type === 'ForceOff') bmc.machine.turnOff('now')
  else if (type === 'GracefulShutdown') bmc.machine.turnOff('gracefully')
  else if (type === 'ForceRestart') bmc.machine.restart()
  else {
    bmc.machine.turnOn()
    bmc.trips = bmc.world.strikes('bmc-power-fails', bmc.name)
  }
  return done(bmc)
}

function done(bmc: Bmc): Reply {
  return bmc.quirks.has('tasks') ? beginTask(bmc, false) : { status: 204 }
}

function count(bmc: Bmc, what: string): void {
  bmc.world.countMutation('hosts', `BMC of ${bmc.name}: ${what}`)
}
