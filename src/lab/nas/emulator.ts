import { randomBytes } from 'node:crypto'
import { chmodSync, statSync } from 'node:fs'
import {
  createServer as createPlainServer,
  type IncomingMessage,
  type Server as PlainServer,
  type ServerResponse,
} from 'node:http'
import { createServer, type Server } from 'node:https'
import type { AddressInfo } from 'node:net'
import type { Pki } from '../pki.ts'
import type { NasSeam } from '../seams.ts'
import type { World } from '../world.ts'
import type { Disks } from './disks.ts'
import type { Call } from './method.ts'
import { methods } from './methods.ts'
import { DsmError, NasStore } from './store.ts'

/**
 * A Synology NAS behind its real protocol: the Web API over HTTPS that the CSI driver and our client speak, with real
 * files or a real disk behind each LUN. Whatever it answered survives the end of its process.
 */
export class NasEmulator {
  readonly fingerprint: string
  readonly seam: NasSeam
  private readonly world: World
  private readonly store: NasStore
  private readonly server: Server
  /** DSM speaks without TLS, too, at a port of its own; the CSI driver can be told to. */
  private readonly plain: PlainServer
  private sessions: Record<string, { token: string }>

  constructor(world: World, pki: Pki, disks: Disks) {
    this.world = world
    this.store = new NasStore(world, disks)
    this.seam = seamOf(this.store)
    this.sessions = world.read('nas-sessions') ?? {}
    const identity = pki.server('nas')
    this.fingerprint = identity.fingerprint
    const listener = (request: IncomingMessage, response: ServerResponse) => {
      this.answer(request, response).catch(error => {
        response.statusCode = 500
        response.end(String(error))
      })
    }
    this.server = createServer({ cert: identity.certificate, key: identity.key }, listener)
    this.plain = createPlainServer(listener)
  }

  /** Listens at the world's address; with port 0 the system chooses. Resolves with the port. */
  listen(port = 0): Promise<number> {
    return new Promise((resolve, reject) => {
      this.server.once('error', reject)
      this.server.listen(port, this.world.address, () => resolve((this.server.address() as AddressInfo).port))
    })
  }

  /** The same without TLS. */
  listenPlain(port = 0): Promise<number> {
    return new Promise((resolve, reject) => {
      this.plain.once('error', reject)
      this.plain.listen(port, this.world.address, () => resolve((this.plain.address() as AddressInfo).port))
    })
  }

  async close(): Promise<void> {
    const servers = [this.server, ...(this.plain.listening ? [this.plain] : [])]
    for (const server of servers) server.closeAllConnections()
    await Promise.all(servers.map(server => new Promise<void>(resolve => server.close(() => resolve()))))
    await this.store.disks.close()
  }

  private async answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    this.world.spokenToAt = performance.now()
    const url = new URL(request.url ?? '/', 'https://nas')
    const parameters = new URLSearchParams(url.search)
    if (request.method === 'POST')
      for (const [name, value] of new URLSearchParams(await bodyOf(request))) parameters.append(name, value)
    const latency = this.world.blueprint.latency.nas
    if (latency > 0) await new Promise(resolve => setTimeout(resolve, latency))

    const call: Call = Object.fromEntries([...parameters].map(([name, value]) => [name, decode(value)]))
    // As while it starts again: nobody is there, and afterwards it knows no session any more.
    if (this.world.strikes('nas-reboots', 'nas')) {
      this.sessions = {}
      this.saveSessions()
      return void request.socket.destroy()
    }
    const envelope = this.dispatch(url.pathname, parameters, call, request)
    const changed = methods[`${parameters.get('api')} ${parameters.get('method')}`]?.changes
    // What was ordered is done, and nobody hears of it.
    if (changed && this.world.strikes('nas-reply-lost', parameters.get('method') ?? ''))
      return void request.socket.destroy()
    response.setHeader('content-type', 'application/json; charset="UTF-8"')
    response.end(JSON.stringify(envelope))
  }

  private dispatch(path: string, raw: URLSearchParams, call: Call, request: IncomingMessage): object {
    const api = raw.get('api')
    const method = raw.get('method')
    const refuse = (code: number) => ({ success: false, error: { code } })
    if (!api || !method || !raw.get('version')) return refuse(101)
    if (api === 'SYNO.API.Info') return { success: true, data: discovery() }
    if (path !== '/webapi/entry.cgi' && path !== '/webapi/auth.cgi') return refuse(102)
    if (api === 'SYNO.API.Auth') return this.authenticate(method, raw, request)

    // DSM wants the cookie; `_sid` alone is refused.
    const sid = sidOf(request)
    const session = sid === undefined ? undefined : this.sessions[sid]
    if (sid === undefined || !session) return refuse(119)
    if (this.world.strikes('nas-session-expires', 'nas')) {
      delete this.sessions[sid]
      this.saveSessions()
      return refuse(106)
    }
    if (this.world.blueprint.nas.csrf) {
      const token = request.headers['x-syno-token'] ?? raw.get('SynoToken')
      if (token !== session.token) return refuse(105)
    }
    const known = methods[`${api} ${method}`]
    if (!known) return refuse(Object.keys(methods).some(name => name.startsWith(`${api} `)) ? 103 : 102)
    if (!(known.versions ?? [1]).includes(Number(raw.get('version')))) return refuse(104)
    try {
      if (known.changes) this.world.countMutation('nas', `${api} ${method}`)
      // As some firmware does when its disks are in trouble: the order is taken, and nothing comes of it.
      if (known.changes && this.world.strikes('nas-lies', method)) return { success: true, data: {} }
      return { success: true, data: known.run(this.store, call) }
    } catch (error) {
      if (error instanceof DsmError) return refuse(error.code)
      throw error
    } finally {
      // Even a refused call may have changed something, as on the real one.
      if (known.changes) this.store.save()
    }
  }

  private authenticate(method: string, raw: URLSearchParams, request: IncomingMessage): object {
    const { nas } = this.world.blueprint
    if (method === 'logout') {
      delete this.sessions[sidOf(request) ?? '']
      this.saveSessions()
      return { success: true }
    }
    if (method !== 'login') return { success: false, error: { code: 103 } }
    if (raw.get('account') !== nas.account || raw.get('passwd') !== nas.password)
      return { success: false, error: { code: 400 } }
    // What is wrong with the account although its password is right; armed with DSM's code for it.
    const refused = loginCodes.find(code => this.world.suffers('nas-login-refused', String(code)))
    if (refused !== undefined) return { success: false, error: { code: refused } }
    const sid = randomBytes(16).toString('hex')
    const token = randomBytes(8).toString('hex')
    this.sessions[sid] = { token }
    this.saveSessions()
    return {
      success: true,
      data: {
        sid,
        is_portal_port: false,
        ...(raw.get('enable_syno_token') === 'yes' ? { synotoken: token } : {}),
      },
    }
  }

  private saveSessions(): void {
    this.world.write('nas-sessions', this.sessions)
  }
}

const loginCodes = [401, 402, 403, 404, 406, 407, 408, 409, 410]

function sidOf(request: IncomingMessage): string | undefined {
  return /(?:^|;\s*)id=([^;]+)/.exec(request.headers.cookie ?? '')?.[1]
}

/** A parameter is JSON where it parses as JSON, and the bare word otherwise. */
function decode(value: string): unknown {
  try {
    return JSON.parse(value)
  } catch {
    return value
  }
}

function discovery(): object {
  const newest = new Map<string, number>()
  for (const [name, { versions = [1] }] of Object.entries(methods)) {
    const api = name.split(' ')[0] ?? ''
    newest.set(api, Math.max(newest.get(api) ?? 1, ...versions))
  }
  return {
    'SYNO.API.Auth': { path: 'entry.cgi', minVersion: 1, maxVersion: 7 },
    ...Object.fromEntries(
      [...newest].map(([api, maxVersion]) => [
        api,
        { path: 'entry.cgi', minVersion: 1, maxVersion, requestFormat: 'JSON' },
      ]),
    ),
  }
}

async function bodyOf(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = []
  for await (const chunk of request) chunks.push(chunk as Buffer)
  return Buffer.concat(chunks).toString('utf8')
}

/** The iSCSI side of the NAS, for machines and the CSI driver's emulation. */
function seamOf(store: NasStore): NasSeam {
  const targetOf = (uuid: string) => store.state.targets.find(t => t.mappings.some(m => m.lun === uuid))
  const admitted = (uuid: string, initiator: string) => {
    const target = targetOf(uuid)
    if (!target) throw new Error('iscsiadm: No records found')
    const sessions = store.sessionsOf(target)
    const full = target.maxSessions > 0 && sessions.length >= target.maxSessions
    if (!target.enabled || (full && !sessions.some(s => s.iqn === initiator)))
      throw new Error(
        'iscsiadm: initiator reported error (19 - encountered non-retryable iSCSI login failure)',
      )
    return target
  }
  return {
    lun(uuidOrName) {
      const lun = store.state.luns.find(l => l.uuid === uuidOrName || l.name === uuidOrName)
      return (
        lun && {
          uuid: lun.uuid,
          name: lun.name,
          sizeBytes: lun.size,
          description: lun.description,
          fsType: lun.fsType,
          iqn: targetOf(lun.uuid)?.iqn,
        }
      )
    },
    createVolume({ name, sizeBytes, description }) {
      const there = store.state.luns.find(l => l.name === name)
      const { nas } = store.world.blueprint
      const lun =
        there ??
        store.createLun({ name, size: sizeBytes, type: 'BLUN', location: nas.volumePath, description })
      const iqn = `iqn.2000-01.com.synology:${nas.hostname}.${name.replace(/^k8s-csi-/, '')}`
      const target = store.state.targets.find(t => t.name === name) ?? store.createTarget(name, iqn, 1)
      store.map(lun, target)
      store.save()
      return { uuid: lun.uuid }
    },
    createShare({ name, sizeBytes }) {
      const short = name.slice(0, 32)
      const share =
        store.shares().find(s => s.name === short) ??
        store.createShare(short, {
          volume: store.world.blueprint.nas.volumePath,
          description: 'Created by Synology K8s CSI',
          quota: Math.ceil(sizeBytes / 2 ** 20),
          recycleBin: true,
          adminOnly: true,
        })
      store.save()
      return { uuid: share.uuid, name: share.name, location: share.volume }
    },
    mountShare(
      { protocol, source = '', dsm = '', baseDir = '', mountPermissions = '' },
      nodes,
      user,
      readOnly,
    ) {
      const [, host, name] = /^\/\/([^/]+)\/([^/]+)$/.exec(source) ?? []
      if (host === undefined) throw new Error('Failed to parse dsmIp and shareName from source path')
      if (protocol === 'smb' && user === undefined) throw new Error('Missing secrets for node staging volume')
      const staged = store.shares().find(s => s.name === name)
      if (!staged) throw new Error(`Failed to set privilege, source: ${source}, err: no such share`)
      if (protocol === 'smb') {
        const others = staged.permissions.filter(p => p.name !== user)
        staged.permissions = [...others, { name: user ?? '', of: 'local_user' }]
        store.save()
        return { uuid: staged.uuid }
      }
      staged.rules = nodes.map(client => ({ client, privilege: 'rw', root_squash: 'root' }))
      store.save()
      if (dsm === '' || baseDir === '')
        throw new Error('Invalid inputs: server(dsm) and baseDir are required.')
      // What is mounted is the folder that the attributes name, by whatever rules that one has.
      const share = store.shares().find(s => `${s.volume}/${s.name}` === baseDir)
      if (!share?.rules.some(rule => rule.privilege === 'rw' || rule.privilege === 'ro'))
        throw new Error(`mount.nfs: access denied by server while mounting ${dsm}:${baseDir}`)
      // As every mount does: the folder's mode is set, which a read-only mount refuses, and 0 leaves it as it is.
      const folder = store.folders.filesOf(`shares/${share.uuid}`)
      const mode = Number.parseInt(mountPermissions || '0750', 8)
      if (mode > 0 && (statSync(folder).mode & 0o777) !== mode) {
        if (readOnly) throw new Error(`chmod ${baseDir}: read-only file system`)
        chmodSync(folder, mode)
      }
      return { uuid: share.uuid }
    },
    deleteVolume(uuid) {
      const share = store.shares().find(s => s.uuid === uuid)
      if (share) store.deleteShare(share)
      const target = targetOf(uuid)
      const lun = store.state.luns.find(l => l.uuid === uuid)
      if (lun) store.deleteLun(lun)
      if (target && target.mappings.length === 0)
        store.state.targets = store.state.targets.filter(t => t !== target)
      store.save()
    },
    filesOf: uuid =>
      store.shares().some(s => s.uuid === uuid)
        ? store.folders.filesOf(`shares/${uuid}`)
        : store.disks.filesOf(`luns/${uuid}`),
    mayLogin: (uuid, initiator) => void admitted(uuid, initiator),
    login(uuid, initiator, ip) {
      const target = admitted(uuid, initiator)
      if (target.sessions.some(s => s.iqn === initiator)) return
      target.sessions.push({ iqn: initiator, ip })
      store.save()
    },
    logout(uuid, initiator) {
      const target = targetOf(uuid)
      // Nodes are logged out of every disk that they do not use, over and over: mostly there is nothing to end.
      if (!target?.sessions.some(s => s.iqn === initiator)) return
      target.sessions = target.sessions.filter(s => s.iqn !== initiator)
      store.save()
    },
    dropSessions(initiator) {
      for (const target of store.state.targets)
        target.sessions = target.sessions.filter(s => s.iqn !== initiator)
      store.save()
    },
    format(uuid, fsType) {
      const lun = store.lun(uuid)
      lun.fsType = fsType
      store.disks.fill(`luns/${uuid}`, fsType, {})
      store.save()
    },
  }
}
