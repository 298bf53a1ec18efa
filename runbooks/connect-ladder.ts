import { statSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Cluster } from '../src/cluster/load.ts'
import type { HostReader, HostWriter } from '../src/hosts/host.ts'
import { verifyArtifact } from '../src/hosts/install/artifact.ts'
import { Away } from '../src/hosts/install/away.ts'
import { argumentsIntoCd } from '../src/hosts/install/cd-image.ts'
import { findInstaller } from '../src/hosts/install/find-installer.ts'
import { resetMark } from '../src/hosts/install/flatcar-reset.ts'
import { installerArguments, installerConfig } from '../src/hosts/install/installer-config.ts'
import { climb, firstRung, outlook } from '../src/hosts/install/ladder.ts'
import { Leftovers, takeDown } from '../src/hosts/install/leftovers.ts'
import type { Artifact, Guidance, Hands, Situation, SystemImage } from '../src/hosts/install/rung.ts'
import { ServedSources } from '../src/hosts/install/served-sources.ts'
import { imageBelow, type Writing } from '../src/hosts/install/write-disk.ts'
import { mintHostKey } from '../src/hosts/keys.ts'
import { type Netboot, openNetboot } from '../src/hosts/netboot/netboot.ts'
import { machineNamed } from '../src/hosts/power/identity.ts'
import type { PowerReader, PowerWriter } from '../src/hosts/power/power.ts'
import type { SshAccess } from '../src/hosts/ssh.ts'
import { Fault } from '../src/runbook/fault.ts'
import type { LadderReader, LadderWriter, Readers } from './kit.ts'
import type { ConnectedRun, NetbootPlace } from './whereabouts.ts'

/** What the ladder needs of the connections that there are. */
export interface LadderGround {
  address(host: string): string
  /** Whoever answers at the host's address, let in by the person's key. */
  access(host: string, pins: SshAccess['pins']): SshAccess
  look<T>(access: SshAccess, signal: AbortSignal, look: (host: HostReader) => Promise<T>): Promise<T>
  anyone<T>(host: string, signal: AbortSignal, look: (host: HostReader) => Promise<T>): Promise<T>
  change<T>(access: SshAccess, signal: AbortSignal, act: (host: HostWriter) => Promise<T>): Promise<T>
  power(host: string): PowerWriter | undefined
  powerReader(host: string): PowerReader | undefined
  ignition: Readers['ignition']
  netboot: NetbootPlace | undefined
}

/** The key that this run's installer on a host lets in. */
function loginKey(secret: Buffer, host: string) {
  return mintHostKey(secret, `${host} installer login`)
}

/** How this run's own installer on a host is reached, and known. */
export function installerAccess(secret: Buffer, host: string, at: SshAccess): SshAccess {
  const { name, address, port, openssh } = at
  const pins = [mintHostKey(secret, `${host} installer`).publicKey]
  // The person's own ssh offers the person's own keys, which our installer knows, too.
  if (openssh) return { ...at, user: 'core', pins }
  return {
    name,
    address,
    port,
    user: 'core',
    privateKey: loginKey(secret, host).privateKey,
    pins,
  }
}

/** The ladder of one run on one cluster. Nothing is opened before it is used. */
export function connectLadder(
  cluster: Cluster,
  { id: run, secret, folder = '' }: ConnectedRun,
  ground: LadderGround,
): { reader: LadderReader; writer: LadderWriter; close(): Promise<void> } {
  const { entry, resolve } = cluster
  const leftovers = folder === '' ? undefined : new Leftovers(folder)
  const away = folder === '' ? undefined : new Away(folder)
  const sources = folder === '' ? undefined : new ServedSources(folder, secret)
  const imageKey = {
    file: entry.tools?.imageKey && resolve(entry.tools.imageKey.file),
    fingerprint: entry.tools?.imageKey?.fingerprint,
  }
  const artifact = (a: {
    file: string
    sha256?: string | undefined
    signature?: string | undefined
  }): Artifact => ({
    file: resolve(a.file),
    sha256: a.sha256,
    signature: a.signature && resolve(a.signature),
  })
  let opened: Netboot | undefined
  const netboot = () => {
    const place = ground.netboot
    if (!place) return undefined
    opened ??= openNetboot({
      address: place.address,
      port: place.port,
      dhcp: place.dhcp(folder === '' ? '' : join(folder, 'netboot')),
    })
    return opened
  }
  const hostEntry = (host: string) => {
    const found = entry.hosts[host]
    if (!found) throw new Error(`no host ${host} in recover.yaml`)
    return found
  }
  const pinned = (host: string) => installerAccess(secret, host, ground.access(host, []))
  const handed = (host: string) => hostEntry(host).install.some(name => name === 'ssh' || name === 'by-hand')

  const find = (host: string, signal: AbortSignal) =>
    findInstaller(
      {
        run,
        host,
        disk: hostEntry(host).disk,
        pinned: pinned(host),
        look: ground.look,
        anyone: handed(host) ? ground.access(host, 'first-use') : undefined,
      },
      signal,
    )

  const situation = async (host: string, signal: AbortSignal): Promise<Situation> => {
    const { disk, mac, image, power, install } = hostEntry(host)
    let seen: Situation['seen']
    let resetBefore = false
    let silence = ''
    try {
      seen = await ground.anyone(host, signal, async h => {
        const facts = await h.facts(signal)
        if (install.includes('flatcar-reset') && facts.os.id === 'flatcar') {
          const marked = await h.readFile(resetMark(run), signal)
          resetBefore = marked !== undefined && marked !== facts.bootId
        }
        return { facts, hostKey: h.hostKey }
      })
    } catch (thrown) {
      if (signal.aborted || !(thrown instanceof Fault)) throw thrown
      silence =
        thrown.code === 'host-auth-refused' ? 'it lets nobody in with our key' : 'it does not answer by SSH'
    }
    const facts = seen?.facts
    const named = machineNamed(power && 'machine' in power ? power.machine : undefined)
    return {
      run,
      host,
      address: ground.address(host),
      disk,
      mac,
      version: image?.version,
      seen,
      silence,
      installer: {
        kernel: entry.installer !== undefined,
        iso: entry.installer?.iso !== undefined,
        bytes: [entry.installer?.kernel.file, entry.installer?.initrd.file]
          .map(file =>
            file === undefined ? 0 : (statSync(resolve(file), { throwIfNoEntry: false })?.size ?? 0),
          )
          .reduce((a, b) => a + b, 0),
      },
      power: ground.powerReader(host),
      netbootLacks: netboot() ? netboot()!.lacks() : 'recover.yaml has no netboot.address',
      serves: ground.netboot !== undefined,
      known: {
        serial: named.serial ?? facts?.machineSerial,
        uuid: named.uuid ?? facts?.machineUuid,
        macs: [
          ...(named.macs ?? []),
          ...(mac === undefined ? [] : [mac]),
          ...(facts?.interfaces.filter(i => i.physical).map(i => i.mac) ?? []),
        ],
      },
      vouched: power !== undefined && 'machine' in power && power.machine === 'unchecked',
      resetBefore,
    }
  }

  /** Does what makes a machine boot another system. */
  const leaving = async <T>(host: string, act: () => Promise<T>): Promise<T> => {
    away?.begins(host)
    try {
      return await act()
    } catch (thrown) {
      away?.ends(host)
      throw thrown
    }
  }

  /** Waits for a machine that a killed process of this run told to boot another system. */
  const comesBack = async (host: string, { signal, note, wait }: Guidance): Promise<void> => {
    try {
      await wait(
        `${host} to answer again, which this run told to boot another system`,
        async () => (await find(host, signal)) ?? (await situation(host, signal)).seen,
        { every: '5s', limit: '10m' },
      )
    } catch (thrown) {
      if (!(thrown instanceof Fault) || thrown.code !== 'wait-timed-out') throw thrown
      note(`${host} has not come back from a reboot that this run ordered`)
    }
    away?.ends(host)
  }

  const verified = (what: string, a: Parameters<typeof artifact>[0]) =>
    verifyArtifact(what, artifact(a), imageKey)

  const hands =
    (signal: AbortSignal) =>
    (now: Situation): Hands => {
      const { host } = now
      const config = async (networks?: Parameters<Hands['installer']>[0]) => {
        const compiled = JSON.parse((await ground.ignition(host, signal)).text) as {
          passwd?: { users?: { sshAuthorizedKeys?: string[] }[] }
        }
        return installerConfig({
          run,
          host,
          hostKey: mintHostKey(secret, `${host} installer`),
          // The person gets in, too: somebody may want to look why it does not go on.
          logins: [
            loginKey(secret, host).publicKey,
            ...(compiled.passwd?.users ?? []).flatMap(u => u.sshAuthorizedKeys ?? []),
          ],
          networks,
        })
      }
      const needed = () => {
        if (!entry.installer) throw new Error('no installer in recover.yaml')
        return entry.installer
      }
      return {
        change: act =>
          leaving(host, () => ground.change(ground.access(host, [now.seen?.hostKey ?? '']), signal, act)),
        power: ground.power(host),
        netboot: netboot(),
        async installer(networks) {
          const { kernel, initrd, arguments: more } = needed()
          const [k, i] = [
            await verified('installer’s kernel', kernel),
            await verified('installer’s initrd', initrd),
          ]
          return {
            kernel: k.file,
            kernelSha256: k.sha256,
            initrd: i.file,
            initrdSha256: i.sha256,
            arguments: installerArguments(run, more),
            config: await config(networks),
          }
        },
        async cd(macs) {
          const { iso, arguments: more } = needed()
          const server = netboot()
          if (!iso || !server) throw new Error('no CD image in recover.yaml')
          const { file } = await verified('installer’s CD image', iso)
          const secretConfig = await server.serveOnce('config.ign', await config(), macs)
          const patches = await argumentsIntoCd(
            file,
            `${installerArguments(run, more)} ignition.config.url=${secretConfig.url}`,
          )
          const { base, withdraw } = await server.serve([
            { name: 'installer.iso', content: { file, patches } },
          ])
          return {
            url: `${base}/installer.iso`,
            withdraw: () => {
              withdraw()
              secretConfig.withdraw()
            },
          }
        },
        found: () => find(host, signal),
        async look() {
          try {
            return await ground.anyone(host, signal, async h => ({
              facts: await h.facts(signal),
              hostKey: h.hostKey,
            }))
          } catch (thrown) {
            if (signal.aborted || !(thrown instanceof Fault)) throw thrown
            return undefined
          }
        },
        leave: async what => leftovers?.add(host, what),
        cleared: async what => leftovers?.remove(host, what),
      }
    }

  const reader: LadderReader = {
    installer: find,
    situation,
    ladder: async (host, signal) => outlook(hostEntry(host).install, await situation(host, signal)),
    async firstRung(host, signal) {
      return firstRung(hostEntry(host).install, await situation(host, signal))?.name
    },
    leftovers: host => leftovers?.of(host) ?? [],
    away: host => away?.is(host) ?? false,
    verify: verified,
  }
  return {
    reader,
    writer: {
      ...reader,
      async climb(host, guidance) {
        await opened?.forget()
        // A machine in its first boot waits for what a killed process of this run served to it.
        await sources?.again(host, netboot())
        const wasAway = away?.is(host)
        if (wasAway) await comesBack(host, guidance)
        const now = await situation(host, guidance.signal)
        const { seen } = now
        // With another key than this run gave it, it is none of ours whatever it says, and is installed again.
        if (seen?.facts.run?.run === run && seen.hostKey === mintHostKey(secret, host).publicKey)
          return sources?.withdraw(host)
        // The order to reboot never arrived: what came back has yet to make the new system of itself.
        if (wasAway && seen && firstRung(hostEntry(host).install, now)?.leadsTo === 'system') return
        await climb(
          hostEntry(host).install,
          () => situation(host, guidance.signal),
          hands(guidance.signal),
          guidance,
        )
      },
      async changeInstaller(host, installer, signal, act) {
        const access = installer.pinned ? pinned(host) : ground.access(host, [installer.hostKey])
        return leaving(host, () => ground.change(access, signal, act))
      },
      async changeSeen(host, hostKey, signal, act) {
        return leaving(host, () => ground.change(ground.access(host, [hostKey]), signal, act))
      },
      async disarm(host, signal) {
        await netboot()?.forget()
        if (leftovers) await takeDown(host, leftovers, ground.power(host), signal)
      },
      async serveSources(host, copies) {
        const server = netboot()
        if (!server || !sources) throw new Error('no netboot.address in recover.yaml')
        return sources.serve(host, copies, server)
      },
      withdrawSources: host => sources?.withdraw(host),
      imageFor(host): Pick<Writing, 'image' | 'verify' | 'mirror'> {
        const { image } = hostEntry(host)
        if (!image) throw new Error(`no image for ${host} in recover.yaml`)
        const system: SystemImage = { ...artifact(image), version: image.version }
        return {
          image: system,
          verify: () => verifyArtifact('system image', system, imageKey),
          mirror: async () => {
            const server = netboot()
            // flatcar-install wants to check the signature itself; an image that has none is sent over SSH.
            if (!server || !system.signature || !system.version || !imageKey.file) return undefined
            const name = imageBelow(system.version)
            const { base, withdraw } = await server.serve([
              { name, content: { file: system.file } },
              { name: `${name}.sig`, content: { file: system.signature } },
            ])
            return { base, version: system.version, key: await readFile(imageKey.file, 'utf8'), withdraw }
          },
        }
      },
    },
    close: async () => {
      await opened?.close()
    },
  }
}
