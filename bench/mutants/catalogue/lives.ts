/** INIT and start-up IPIs: kvm_apic_accept_events, kvm_vcpu_deliver_sipi_vector. */
import { mutantsOf } from '../mutant.ts';

const lapic = mutantsOf('lapic.c', [
  {
    name: 'boot-processor-waits',
    find: 'if (kvm_vcpu_is_bsp(apic->vcpu))',
    replace: 'if (0)',
    mechanism: 'the boot processor waits for a start-up IPI behind INIT',
    grade: 'medium',
    needs: 'INIT and a start-up IPI to vCPU id 0',
  },
  {
    name: 'sipi-starts-whoever',
    find: 'if (vcpu->arch.mp_state == KVM_MP_STATE_INIT_RECEIVED) {',
    replace: 'if (1) {',
    mechanism: 'a start-up IPI starts who does not wait for it',
    grade: 'medium',
    needs: 'a second start-up IPI, or one to who waits for INIT',
  },
]);

const start = mutantsOf('x86.c', [
  {
    name: 'sipi-other-selector',
    find: 'cs.selector = vector << 8;',
    replace: 'cs.selector = vector << 4;',
    mechanism: 'CS has another selector where a vCPU starts',
    grade: 'medium',
    needs: 'a start-up IPI behind INIT',
  },
]);

export const livesMutants = [...lapic, ...start];
