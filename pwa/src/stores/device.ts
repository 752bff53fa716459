import { defineStore } from 'pinia'
import { computed, ref, shallowRef } from 'vue'
import { barred } from '@/api/policy'
import { makePasskey, usePasskey } from '@/device/passkey'
import { BadProfile, OtherOwnline, parseProfile, type Profile } from '@/device/profile'
import { read, wipe, write } from '@/device/shelf'
import {
  type Opened,
  openRest,
  passphraseKey,
  type Remembered,
  type Rest,
  rounds,
  sealRest,
  store,
  type StoredDevice,
  unlock as open,
} from '@/device/vault'
import { random } from '@/sealed/bytes'

/** unknown: not read yet. offered: a profile waits to be protected, and is nowhere but here. */
export type DeviceState = 'unknown' | 'none' | 'offered' | 'locked' | 'unlocked'

/** Why an offered profile is not taken: this browser is another device already. */
export type Clash = { site: 'same' | 'other'; name: string }

/** How a profile is to be protected. */
export type Protection = { passphrase: string } | 'passkey'

/** The device that this browser is: enrolled once, then locked or unlocked. */
export const useDevice = defineStore('device', () => {
  const stored = shallowRef<StoredDevice>()
  const opened = shallowRef<Opened>()
  const rest = shallowRef<Rest>()
  const offered = shallowRef<Profile>()
  const isRead = ref(false)

  const state = computed<DeviceState>(() => {
    if (offered.value) return 'offered'
    if (!isRead.value) return 'unknown'
    if (!stored.value) return 'none'
    return opened.value && rest.value ? 'unlocked' : 'locked'
  })
  const id = computed(() => stored.value?.device)
  const name = computed(() => offered.value?.name ?? stored.value?.name ?? '')
  const method = computed(() => stored.value?.method.kind)
  const isKept = computed(() => stored.value?.kept !== undefined)

  /** Reads what this browser keeps; never fails. */
  async function load(): Promise<void> {
    if (isRead.value) return
    const found = await read()
    stored.value = found
    if (found?.kept) {
      try {
        rest.value = await openRest(found.kept, found)
        opened.value = found.kept
      } catch {
        // Then it is locked.
      }
    }
    isRead.value = true
  }

  /**
   * Takes a profile, ownline://…, to be protected on the page /client, where to go next; nothing is
   * kept before. A profile has the name of its site; whoever knows the device's gives that. Throws a
   * BadProfile, or OtherOwnline. A clash with the device that this browser is already is returned: that
   * one has to be forgotten first.
   */
  async function offer(text: string, called?: string): Promise<Clash | undefined> {
    const profile = { ...parseProfile(text), ...(called && { name: called }) }
    if (await barred(profile.broker.url)) throw new OtherOwnline(profile.host)
    await load()
    const here = stored.value
    // The same device again: its key was rotated.
    if (here && here.device !== profile.device) {
      return { site: here.site === profile.site ? 'same' : 'other', name: here.name }
    }
    offered.value = profile
    return undefined
  }

  function refuse(): void {
    offered.value = undefined
  }

  /** Keeps the offered profile. Throws NoPasskey and ShelfFull. */
  async function protect(how: Protection): Promise<void> {
    const profile = offered.value
    if (!profile) throw new BadProfile('noProfile')
    let made
    if (how === 'passkey') {
      const { method: own, key } = await makePasskey(profile.name)
      made = await store(profile, own, key)
    } else {
      const own = { kind: 'passphrase', salt: random(16), rounds } as const
      made = await store(profile, own, await passphraseKey(how.passphrase, own))
    }
    await write(made.stored)
    // Browsers that are short of room throw away what was not asked to be kept.
    void navigator.storage?.persist?.().catch(() => false)
    rest.value = await openRest(made.opened, made.stored)
    stored.value = made.stored
    opened.value = made.opened
    offered.value = undefined
  }

  /** Opens what is kept. Throws WrongKey and NoPasskey. */
  async function unlock(passphrase?: string): Promise<void> {
    const here = stored.value
    if (!here) return
    const key =
      here.method.kind === 'passkey' ? await usePasskey(here.method) : await passphraseKey(passphrase ?? '', here.method)
    const keys = await open(here, key)
    rest.value = await openRest(keys, here)
    opened.value = keys
  }

  async function change(next: StoredDevice): Promise<void> {
    await write(next)
    stored.value = next
  }

  /** Keeps it unlocked from now on, or no more. Throws ShelfFull. */
  async function keep(on: boolean): Promise<void> {
    if (!stored.value || !opened.value) return
    const { kept: _, ...locked } = stored.value
    await change(on ? { ...locked, kept: opened.value } : locked)
  }

  async function lock(): Promise<void> {
    await keep(false)
    opened.value = undefined
    rest.value = undefined
  }

  /** Keeps what the device opens, for when nobody can be asked. */
  async function remember(services: Remembered[], seen: number): Promise<void> {
    if (!stored.value || !opened.value || !rest.value) return
    rest.value = { ...rest.value, services, seen }
    await change({ ...stored.value, rest: await sealRest(opened.value, stored.value.device, rest.value) })
  }

  /** Forgets everything. Throws ShelfFull. */
  async function forget(): Promise<void> {
    await wipe()
    stored.value = undefined
    opened.value = undefined
    rest.value = undefined
    offered.value = undefined
  }

  return {
    state, id, name, method, isKept, opened, rest, offered,
    load, offer, refuse, protect, unlock, keep, lock, remember, forget,
  }
})
