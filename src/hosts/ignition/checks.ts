import { showDanger } from '../butane/dangers.ts'
import type { Disk } from '../disks.ts'
import { placeOf } from './butane-failed.ts'
import type { CompiledIgnition } from './compile.ts'
import { type IgnitionConfig, inlineText } from './config.ts'
import { deviceFindings } from './devices.ts'
import { effectiveConfig } from './effective.ts'
import type { Finding } from './findings.ts'
import { loginFindings } from './login.ts'
import { accepts, type ImageIgnition, specsOf } from './releases.ts'
import { ruleFindings } from './rules.ts'
import { sourceFindings } from './source-findings.ts'
import { allSources, type FoundSource, mergedConfigs, type SourceTree } from './sources.ts'

/** What a config is judged against. */
export interface CheckContext {
  /** The image that will read it. */
  image: ImageIgnition
  /** By whom recover logs in. */
  user: string
  /** Public keys that the person holds; undefined where nobody can tell. */
  held?: readonly string[] | undefined
  /** The config with what it takes from elsewhere and what it merges. */
  tree: SourceTree
  /** Names and addresses that are away while the cluster is rebuilt. */
  own: readonly string[]
  /** Serial or WWN of the disk that may be wiped. */
  disk: string
  /** The machine's disks, where it could be asked. */
  seen?: { named: Disk; disks: readonly Disk[] } | undefined
}

/**
 * Everything that can be said of one host's config before anything is armed; refusals first. What a machine is made by is
 * the config with everything that it merges: that is what is judged. Throws Fault `ignition-invalid`.
 */
export function checkConfig(compiled: CompiledIgnition, context: CheckContext): Finding[] {
  const { config, shown } = compiled
  const { tree } = context
  const merged = mergedConfigs(tree)
  const effective = effectiveConfig(tree, shown)
  const sources = allSources(tree)
  const unseen = sources.filter(s => s.config && !s.inner)
  const all =
    merged.length === 0 ? shown : `${shown} with what it merges (${merged.map(m => m.name).join(', ')})`
  const findings = [
    ...specFindings(config, shown, context.image),
    ...merged.flatMap(m => specFindings(m.config, `${m.name}, which ${shown} merges,`, context.image)),
    ...compilerFindings(compiled),
    ...dangerFindings(compiled),
    ...unseenFindings(unseen, shown),
    ...loginFindings(effective, all, context.user, context.held, unseen.length > 0),
    ...deviceFindings(effective, all, context.disk, context.seen),
    ...sourceFindings(sources, shown, context.own),
    ...replacedFindings(config, shown),
    ...hostnameFindings(effective, all),
    ...pathFindings(effective, all),
    ...networkFindings(effective, all, context.image),
    // Butane has said it of its own files.
    ...(compiled.by === 'ready-made'
      ? [...ruleFindings(config, shown), ...modeFindings(config, shown), ...unitFindings(effective, all)]
      : []),
    ...merged.flatMap(m =>
      [ruleFindings, modeFindings].flatMap(judge => judge(m.config, `${m.name}, which ${shown} merges,`)),
    ),
  ]
  // The place to go to is the person's file, whatever of it was judged.
  return findings
    .map(f => (f.at === undefined || f.at.startsWith(`${shown}:`) ? f : { ...f, at: shown }))
    .sort((a, b) => Number(b.severity === 'refusal') - Number(a.severity === 'refusal'))
}

/** The text of /etc/hostname, where the config has it inside. */
export function hostnameOf({ storage }: IgnitionConfig): string | undefined {
  const file = storage?.files?.find(f => f.path === '/etc/hostname')
  return inlineText(file?.contents)?.trim() || undefined
}

function specFindings(config: IgnitionConfig, shown: string, image: ImageIgnition): Finding[] {
  const spec = config.ignition.version
  const verdict = accepts(image, spec)
  if (verdict === 'yes') return []
  if (verdict === 'unknown')
    return [
      {
        severity: 'warning',
        code: 'ignition-spec-unknown',
        blame: 'operator',
        message: `${shown} is a config of spec ${spec}; whether ${image.image} accepts it is not known here`,
        remedy:
          'Name the release in hosts.….image.version, or try the config with that image’s ignition-validate',
        at: shown,
      },
    ]
  const { stable, experimental } = specsOf(image.ignition ?? '')
  const takes =
    stable.length === 0
      ? 'only specs 1 and 2'
      : `${stable[0]} to ${stable.at(-1)}${experimental ? ` and ${experimental}` : ''}`
  return [
    {
      severity: 'refusal',
      code: 'ignition-spec-refused',
      blame: 'operator',
      message: `${shown} makes a config of spec ${spec}, and ${image.image} has Ignition ${image.ignition}, which accepts ${takes}: its first boot would fail`,
      remedy:
        'Compile it with the built-in compiler, which heeds the image (take tools.butane out of recover.yaml), or install an image that accepts it',
      at: shown,
    },
  ]
}

function dangerFindings({ dangers }: CompiledIgnition): Finding[] {
  return dangers.map(danger => ({
    severity: 'warning',
    code: 'butane-danger',
    blame: 'operator',
    message: showDanger(danger),
    remedy: 'Do what it says before the day on which it matters',
    at: `${danger.file}:${danger.line}:${danger.column}`,
  }))
}

/** Keys that a flatcar file can have and that Butane only warns of, though what they ask for is then missing. */
const missed = /^(?:boot_device|grub)$/

function compilerFindings({ warnings, shown }: CompiledIgnition): Finding[] {
  return warnings.map(warning => {
    const at = placeOf(warning, shown)
    const key = /^unused key (\S+)/i.exec(warning.text)?.[1]
    return key !== undefined && missed.test(key)
      ? {
          severity: 'refusal',
          code: 'butane-key-ignored',
          blame: 'operator',
          message: `${at} has ${key}, which this variant of Butane leaves out with no more than a warning: what it asks for (${key === 'grub' ? 'a password of the boot loader' : 'an encrypted or mirrored disk'}) would not be there`,
          remedy: 'Write it with storage.luks, storage.raid and storage.filesystems, or take it out',
          at,
        }
      : {
          severity: 'warning',
          code: 'butane-warning',
          blame: 'operator',
          message: `${at} ${warning.path}: ${warning.text}`,
          remedy: 'Mend it, so that `butane --strict` accepts the file',
          at,
        }
  })
}

function hostnameFindings(config: IgnitionConfig, shown: string): Finding[] {
  if (config.storage?.files?.some(f => f.path === '/etc/hostname')) return []
  return [
    {
      severity: 'warning',
      code: 'ignition-no-hostname',
      blame: 'operator',
      message: `${shown} does not write /etc/hostname: the machine is called localhost unless DHCP says otherwise, and Kubernetes cannot have two nodes of one name`,
      remedy: 'Add the file /etc/hostname with the host’s name',
      at: shown,
    },
  ]
}

/** What Ignition puts in the place of a config it knows nothing of: our keys and the run's name would be gone with it. */
function replacedFindings({ ignition }: IgnitionConfig, shown: string): Finding[] {
  const by = ignition.config?.replace?.source
  if (!by) return []
  return [
    {
      severity: 'refusal',
      code: 'ignition-replaced',
      blame: 'operator',
      message: `${shown} has another config put in its place (${by.startsWith('data:') ? 'one inside it' : by}): the host keys and the run’s name that recover adds would be lost, and the machine not be known again`,
      remedy: 'Merge that config (ignition.config.merge) instead of replacing this one by it',
      at: shown,
    },
  ]
}

/** What nobody here can look into may write to other disks, and may let nobody in. */
function unseenFindings(unseen: readonly FoundSource[], shown: string): Finding[] {
  if (unseen.length === 0) return []
  const list = unseen.map(s => `${s.url} (${s.never ?? 'the kit does not have it'})`).join(', ')
  return [
    {
      severity: 'warning',
      code: 'ignition-merged-unseen',
      blame: 'operator',
      message: `${shown} merges what cannot be looked into now: ${list}; which disks it writes to, and whom it lets in, is not known`,
      remedy:
        'Keep a copy (`recover render --fill-kit` with `kit: FOLDER` in recover.yaml), or put it into the config as a local file',
      at: shown,
    },
  ]
}

/** Ignition since 2.15 fails when a unit is written both as a unit and as a file. */
function pathFindings({ storage, systemd }: IgnitionConfig, shown: string): Finding[] {
  const nodes = new Set(
    [...(storage?.files ?? []), ...(storage?.links ?? []), ...(storage?.directories ?? [])].map(n => n.path),
  )
  const units = (systemd?.units ?? []).flatMap(unit => [
    ...(unit.contents ? [`/etc/systemd/system/${unit.name}`] : []),
    ...(unit.dropins ?? []).flatMap(d =>
      d.contents ? [`/etc/systemd/system/${unit.name}.d/${d.name}`] : [],
    ),
  ])
  const twice = units.filter(path => nodes.has(path))
  return twice.length === 0
    ? []
    : [
        {
          severity: 'refusal',
          code: 'ignition-path-twice',
          blame: 'operator',
          message: `${shown} writes ${twice.join(', ')} twice, as a unit and as a file: Ignition fails on that`,
          remedy: 'Keep one of the two',
          at: shown,
        },
      ]
}

/** A disk that is bound to Tang is opened in the initramfs, which has no network unless it is told to. */
function networkFindings(config: IgnitionConfig, shown: string, image: ImageIgnition): Finding[] {
  const bound = (config.storage?.luks ?? []).filter(l => (l.clevis?.tang?.length ?? 0) > 0)
  const wanted = image.image.startsWith('Fedora') ? 'rd.neednet=1' : 'rd.networkd=1'
  const there = config.kernelArguments?.shouldExist ?? []
  if (bound.length === 0 || there.some(a => /^(?:rd\.networkd=(?:1|yes|true)|rd\.neednet=1|ip=.+)$/.test(a)))
    return []
  return [
    {
      severity: 'warning',
      code: 'ignition-no-early-network',
      blame: 'operator',
      message: `${shown} binds ${bound.map(l => l.name).join(', ')} to a Tang server and has no kernel argument that brings the network up in the initramfs, where the disk is opened at every boot`,
      remedy: `Add ${wanted} to kernel_arguments.should_exist, unless the disk is opened later`,
      at: shown,
    },
  ]
}

/** Octal modes read as decimal. None of these numbers is a mode that somebody would mean in decimal. */
const octalReadAsDecimal = new Set([
  400, 440, 444, 500, 550, 555, 600, 640, 644, 660, 664, 666, 700, 750, 755, 770, 775, 777, 1777, 2755, 4755,
])

/** Modes that were written in octal and read in decimal: nobody means 01204 by 644. */
function modeFindings({ storage }: IgnitionConfig, shown: string): Finding[] {
  const wrong = [...(storage?.files ?? []), ...(storage?.directories ?? [])].filter(
    n => n.mode !== undefined && octalReadAsDecimal.has(n.mode),
  )
  return wrong.length === 0
    ? []
    : [
        {
          severity: 'warning',
          code: 'ignition-mode-decimal',
          blame: 'operator',
          message: `${shown} gives modes that look octal and are decimal in JSON: ${wrong.map(n => `${n.path} ${n.mode}, which is 0${n.mode?.toString(8)}`).join(', ')}`,
          remedy: 'Write 420 for 0644, 384 for 0600, 493 for 0755',
          at: shown,
        },
      ]
}

function unitFindings({ systemd }: IgnitionConfig, shown: string): Finding[] {
  const idle = (systemd?.units ?? []).filter(
    unit =>
      unit.enabled &&
      unit.contents &&
      ![unit.contents, ...(unit.dropins ?? []).map(d => d.contents ?? '')].some(text =>
        /^\s*\[Install\]/m.test(text),
      ),
  )
  return idle.length === 0
    ? []
    : [
        {
          severity: 'warning',
          code: 'ignition-unit-without-install',
          blame: 'operator',
          message: `${shown} enables ${idle.map(u => u.name).join(', ')} without an [Install] section: nothing starts it`,
          remedy: 'Add [Install] with WantedBy=multi-user.target, or take enabled away',
          at: shown,
        },
      ]
}
