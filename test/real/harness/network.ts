import { run, runWith } from './commands.ts'

/** A network of the test's own, with this process at its first address. */
export interface Network {
  bridge: string
  /** Its `n`th address, from 2 to 254: `10.77.3.2`. */
  address(n: number): string
  /** This process's own address in it. */
  own: string
  prefix: 24
  /** Plugs in a machine in a network namespace of the kernel: gives the name of the cable's end at the bridge. */
  plug(namespace: string, address: string, mac: string): string
  /** A TAP device for a virtual machine. */
  tap(name: string): string
  close(): void
}

/**
 * Opens a network. The kernel says which numbers are free, so files that are tested at the same time do not meet. All of
 * it lives in the tests' own network namespace and cannot reach anything else.
 */
export function openNetwork(): Network {
  const n = firstFree()
  const bridge = `br${n}`
  const own = `10.77.${n}.1`
  run('ip', 'address', 'add', `${own}/24`, 'dev', bridge)
  run('ip', 'link', 'set', bridge, 'up')
  const ends: string[] = []
  const namespaces: string[] = []
  return {
    bridge,
    own,
    prefix: 24,
    address: host => `10.77.${n}.${host}`,
    plug(namespace, address, mac) {
      const end = `v${n}-${ends.length}`
      run('ip', 'netns', 'add', namespace)
      namespaces.push(namespace)
      run(
        'ip',
        'link',
        'add',
        end,
        'type',
        'veth',
        'peer',
        'name',
        'eth0',
        'address',
        mac,
        'netns',
        namespace,
      )
      ends.push(end)
      run('ip', 'link', 'set', end, 'master', bridge, 'up')
      run('ip', '-n', namespace, 'address', 'add', `${address}/24`, 'dev', 'eth0')
      run('ip', '-n', namespace, 'link', 'set', 'lo', 'up')
      run('ip', '-n', namespace, 'link', 'set', 'eth0', 'up')
      return end
    },
    tap(name) {
      const end = `t${n}-${name}`.slice(0, 15)
      run('ip', 'tuntap', 'add', end, 'mode', 'tap')
      run('ip', 'link', 'set', end, 'master', bridge, 'up')
      ends.push(end)
      return end
    },
    close() {
      // By themselves they go with their namespace, but some time later: another network may have this number by then.
      for (const end of ends) run('ip', 'link', 'delete', end)
      for (const namespace of namespaces) run('ip', 'netns', 'delete', namespace)
      run('ip', 'link', 'delete', bridge)
    },
  }
}

function firstFree(): number {
  for (let n = 1; n < 250; n++)
    try {
      run('ip', 'link', 'add', `br${n}`, 'type', 'bridge')
      return n
    } catch (thrown) {
      if (!/File exists/.test(String(thrown))) throw thrown
    }
  throw new Error('no number is free for another network')
}

/**
 * Lets a machine's sshd see a number of new connections in a time and drops the rest without a word, as a firewall at home
 * does. The first `burst` pass at once, and as many again in the time that follows.
 */
export function limitNewConnections(namespace: string, burst: number, per: 'minute' | 'day'): void {
  const rules = [
    'table inet gentle {',
    '  chain input {',
    '    type filter hook input priority 0; policy accept;',
    `    tcp dport 22 ct state new limit rate ${burst}/${per} burst ${burst} packets accept`,
    '    tcp dport 22 ct state new drop',
    '  }',
    '}',
  ].join('\n')
  filter(namespace, ['-f', '-'], rules)
}

/** Drops whatever comes to a machine or leaves it, without a word to either side. */
export function cutOff(namespace: string): void {
  const rules = [
    'table inet partition {',
    '  chain input { type filter hook input priority -10; policy drop; iif lo accept; }',
    '  chain output { type filter hook output priority -10; policy drop; oif lo accept; }',
    '}',
  ].join('\n')
  filter(namespace, ['-f', '-'], rules)
}

/**
 * The start of a command line that runs a program in a machine's network alone. `ip netns exec` would give it a copy of
 * everything that is mounted then, too: what another test unmounts would stay mounted for as long as the program runs.
 */
export function inNetworkOf(namespace: string): [string, string] {
  return ['nsenter', `--net=/run/netns/${namespace}`]
}

function filter(namespace: string, args: string[], input = ''): void {
  const [program, network] = inNetworkOf(namespace)
  runWith({ input }, program, network, 'nft', ...args)
}

/** Takes away what {@link limitNewConnections} (`gentle`) or {@link cutOff} (`partition`) has put up. */
export function lift(namespace: string, table: 'gentle' | 'partition'): void {
  filter(namespace, ['delete', 'table', 'inet', table])
}
