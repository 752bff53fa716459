import { defineStore } from 'pinia'
import { listServices } from '@/api/services'
import { collection } from './collection'

/** The services that the person signed in may use. */
export const useServices = defineStore('services', () => collection(listServices))
