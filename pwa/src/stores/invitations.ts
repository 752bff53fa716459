import { defineStore } from 'pinia'
import { computed, ref } from 'vue'
import * as api from '@/api/invitations'
import { collection } from './collection'
import { whenNoAdmin } from './forget'

/** Invitations: one's own, or everybody's for an admin who asks. */
export const useInvitations = defineStore('invitations', () => {
  const everyone = ref(false)
  const list = collection(() => api.listInvitations(everyone.value))

  /** Those that can be used first, and of each the newest first. */
  const sorted = computed(() =>
    list.all.value.toSorted(
      (a, b) =>
        Number(b.state === 'valid') - Number(a.state === 'valid') ||
        Date.parse(b.created) - Date.parse(a.created),
    ),
  )

  /** Shows everybody's from now on, or one's own alone. */
  async function show(all: boolean): Promise<void> {
    everyone.value = all
    list.clear()
    await list.load()
  }

  /** Makes an invitation; throws a Problem. Its link is not kept here. */
  async function invite(wanted: api.Wanted): Promise<api.Made> {
    const made = await api.invite(wanted)
    const { link: _, inside_link: __, ...kept } = made
    list.put(kept)
    return made
  }

  /** Ends it and what it opened; throws a Problem. */
  async function revoke(id: string): Promise<void> {
    list.put(await api.revokeInvitation(id))
  }

  whenNoAdmin(() => {
    everyone.value = false
    list.clear()
  })
  return { ...list, everyone, sorted, show, invite, revoke }
})
