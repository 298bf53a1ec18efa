import type { BmcQuirk } from '../blueprint.ts'
import type { BootTarget, PowerSeam } from '../seams.ts'

/** What Redfish calls the places to boot from. */
export const bootNames: Record<BootTarget, string> = { pxe: 'Pxe', cd: 'Cd', disk: 'Hdd' }
export const resetTypes = ['On', 'ForceOff', 'GracefulShutdown', 'ForceRestart', 'ForceOn']
export const system = '/redfish/v1/Systems/1'
export const neighbour = '/redfish/v1/Systems/2'
export const manager = '/redfish/v1/Managers/1'
export const bootSettings = `${system}/Settings`
export const sessions = '/redfish/v1/SessionService/Sessions'
export const tasks = '/redfish/v1/TaskService/Tasks'

const well = { State: 'Enabled', Health: 'OK' }

export type Resource = Record<string, unknown>

/** Where the virtual drive is. */
export function drivePath(quirks: ReadonlySet<BmcQuirk>): string {
  return `${quirks.has('media-under-manager') ? manager : system}/VirtualMedia/Cd`
}

/** What the resources are made from. */
export interface Shown {
  name: string
  machine: PowerSeam
  quirks: ReadonlySet<BmcQuirk>
  powerState: string
  sessionIds: string[]
  taskIds: string[]
}

/** Every resource that can be read without a task or a session of one's own, by its path. */
export function resources(shown: Shown): Map<string, Resource> {
  const { name, machine, quirks, powerState } = shown
  const identity = machine.identity()
  const drive = drivePath(quirks)
  const driveList = drive.replace(/\/Cd$/, '')
  const all: Resource[] = [
    {
      '@odata.id': '/redfish/v1/',
      '@odata.type': '#ServiceRoot.v1_15_0.ServiceRoot',
      Id: 'RootService',
      Name: 'Root Service',
      RedfishVersion: '1.17.0',
      UUID: identity.uuid,
      Systems: link('/redfish/v1/Systems'),
      Managers: link('/redfish/v1/Managers'),
      Tasks: link('/redfish/v1/TaskService'),
      ...(quirks.has('no-sessions')
        ? { Links: {} }
        : { SessionService: link('/redfish/v1/SessionService'), Links: { Sessions: link(sessions) } }),
      // Read by the lab's stand-in for ipmitool: here nobody speaks IPMI itself.
      Oem: { Lab: { CipherSuites: quirks.has('cipher-17') ? [17] : [3, 17] } },
    },
    collection('/redfish/v1/Systems', 'ComputerSystem', [
      ...(quirks.has('two-systems') ? [neighbour] : []),
      system,
    ]),
    systemOf(shown, driveList),
    collection(
      `${system}/EthernetInterfaces`,
      'EthernetInterface',
      identity.macs.map((_, i) => `${system}/EthernetInterfaces/${i + 1}`),
    ),
    ...identity.macs.map((mac, i) => ({
      '@odata.id': `${system}/EthernetInterfaces/${i + 1}`,
      '@odata.type': '#EthernetInterface.v1_8_0.EthernetInterface',
      Id: String(i + 1),
      Name: `Ethernet Interface ${i + 1}`,
      Status: well,
      PermanentMACAddress: mac.toUpperCase(),
      MACAddress: mac.toUpperCase(),
    })),
    collection('/redfish/v1/Managers', 'Manager', [manager]),
    {
      '@odata.id': manager,
      '@odata.type': '#Manager.v1_17_0.Manager',
      Id: '1',
      Name: `BMC of ${name}`,
      ManagerType: 'BMC',
      Status: well,
      FirmwareVersion: 'lab',
      Links: { ManagerForServers: [link(system)] },
      ...(quirks.has('media-under-manager') && !quirks.has('no-media')
        ? { VirtualMedia: link(driveList) }
        : {}),
    },
    {
      '@odata.id': '/redfish/v1/TaskService',
      '@odata.type': '#TaskService.v1_2_0.TaskService',
      Id: 'TaskService',
      Name: 'Task Service',
      ServiceEnabled: true,
      Tasks: link(tasks),
    },
    collection(
      tasks,
      'Task',
      shown.taskIds.map(id => `${tasks}/${id}`),
    ),
  ]
  if (!quirks.has('no-sessions'))
    all.push(
      {
        '@odata.id': '/redfish/v1/SessionService',
        '@odata.type': '#SessionService.v1_1_8.SessionService',
        Id: 'SessionService',
        Name: 'Session Service',
        ServiceEnabled: true,
        SessionTimeout: 1800,
        Sessions: link(sessions),
      },
      collection(
        sessions,
        'Session',
        shown.sessionIds.map(id => `${sessions}/${id}`),
      ),
    )
  if (quirks.has('action-info'))
    all.push({
      '@odata.id': `${system}/ResetActionInfo`,
      '@odata.type': '#ActionInfo.v1_3_0.ActionInfo',
      Id: 'ResetActionInfo',
      Name: 'Reset Action Info',
      Parameters: [{ Name: 'ResetType', Required: true, DataType: 'String', AllowableValues: resetTypes }],
    })
  if (quirks.has('boot-settings-apart'))
    all.push({
      '@odata.id': bootSettings,
      '@odata.type': '#ComputerSystem.v1_20_0.ComputerSystem',
      Id: 'Settings',
      Name: 'Pending settings',
      Boot: bootOf(machine, quirks),
    })
  if (quirks.has('two-systems'))
    all.push({
      '@odata.id': neighbour,
      '@odata.type': '#ComputerSystem.v1_20_0.ComputerSystem',
      Id: '2',
      Name: 'The machine beside it',
      SerialNumber: identity.serial,
      UUID: identity.uuid.replace(/^./, c => (c === 'f' ? '0' : 'f')),
      PowerState: 'On',
      Boot: { BootSourceOverrideEnabled: 'Disabled', BootSourceOverrideTarget: 'None' },
      Actions: {},
      Links: { ManagedBy: [link(manager)] },
    })
  if (!quirks.has('no-media')) all.push(collection(driveList, 'VirtualMedia', [drive]), driveOf(shown, drive))
  return new Map(all.map(resource => [String(resource['@odata.id']).replace(/\/$/, ''), resource]))

  function systemOf({ name }: Shown, driveList: string): Resource {
    const [maker = '', ...model] = identity.model.split(' ')
    const reset = {
      target: `${system}/Actions/ComputerSystem.Reset`,
      ...(quirks.has('action-info')
        ? { '@Redfish.ActionInfo': `${system}/ResetActionInfo` }
        : { 'ResetType@Redfish.AllowableValues': resetTypes }),
    }
    return {
      '@odata.id': system,
      '@odata.type': '#ComputerSystem.v1_20_0.ComputerSystem',
      Id: '1',
      Name: name,
      SystemType: 'Physical',
      Status: well,
      ...(quirks.has('no-identity')
        ? { SerialNumber: 'To be filled by O.E.M.' }
        : {
            SerialNumber: identity.serial,
            UUID: identity.uuid.toUpperCase(),
            Manufacturer: maker,
            Model: model.join(' '),
            EthernetInterfaces: link(`${system}/EthernetInterfaces`),
          }),
      PowerState: powerState,
      Boot: quirks.has('boot-settings-apart') ? bootAtRest(quirks) : bootOf(machine, quirks),
      ...(quirks.has('boot-settings-apart')
        ? {
            '@Redfish.Settings': {
              '@odata.type': '#Settings.v1_3_5.Settings',
              SettingsObject: link(bootSettings),
            },
          }
        : {}),
      Links: { ManagedBy: [link(manager)] },
      ...(quirks.has('media-under-manager') || quirks.has('no-media')
        ? {}
        : { VirtualMedia: link(driveList) }),
      Actions: { '#ComputerSystem.Reset': reset },
    }
  }
}

function bootOf(machine: PowerSeam, quirks: ReadonlySet<BmcQuirk>): Resource {
  const target = machine.bootOverride()
  if (target === undefined) return bootAtRest(quirks)
  return {
    ...bootAtRest(quirks),
    BootSourceOverrideEnabled: quirks.has('boot-continuous') ? 'Continuous' : 'Once',
    BootSourceOverrideTarget: bootNames[target],
  }
}

function bootAtRest(quirks: ReadonlySet<BmcQuirk>): Resource {
  return {
    BootSourceOverrideEnabled: quirks.has('boot-continuous') ? 'Continuous' : 'Disabled',
    BootSourceOverrideTarget: quirks.has('boot-continuous') ? 'Hdd' : 'None',
    'BootSourceOverrideTarget@Redfish.AllowableValues': ['None', 'Pxe', 'Cd', 'Hdd'],
    ...(quirks.has('no-boot-mode') ? {} : { BootSourceOverrideMode: 'UEFI' }),
  }
}

function driveOf({ machine, quirks }: Shown, path: string): Resource {
  const image = machine.media()
  return {
    '@odata.id': path,
    '@odata.type': '#VirtualMedia.v1_6_0.VirtualMedia',
    Id: 'Cd',
    Name: 'Virtual CD',
    MediaTypes: ['CD', 'DVD'],
    ConnectedVia: image === undefined ? 'NotConnected' : 'URI',
    Image: image ?? null,
    Inserted: image !== undefined,
    WriteProtected: true,
    ...(quirks.has('media-by-patch')
      ? {}
      : {
          Actions: {
            '#VirtualMedia.InsertMedia': { target: `${path}/Actions/VirtualMedia.InsertMedia` },
            '#VirtualMedia.EjectMedia': { target: `${path}/Actions/VirtualMedia.EjectMedia` },
          },
        }),
  }
}

/** A reference from one Redfish resource to another. */
export function link(path: string): Resource {
  return { '@odata.id': path }
}

function collection(path: string, type: string, members: string[]): Resource {
  return {
    '@odata.id': path,
    '@odata.type': `#${type}Collection.${type}Collection`,
    Name: `${type} Collection`,
    'Members@odata.count': members.length,
    Members: members.map(link),
  }
}
