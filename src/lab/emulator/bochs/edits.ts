/**
 * The edits of Bochs 3.0 before it is built. Each fault was found by a guest that did not behave as the SDM says;
 * without the edit, a fuzzer would report it as KVM's. Sections are numbered as in the SDM's volume 3C of December
 * 2023. The wording of "Posted-Interrupt Processing" (step 6), the alignment of its descriptor, and the place of
 * "Evaluation of Pending Virtual Interrupts" were checked in a public copy of an older edition, whose VMX chapters
 * have numbers one lower. The other numbers were not checked.
 */
import type { Edit } from '../../../system/edit.ts';
import { windowCode } from './window-code.ts';

/** An edit, and what it mends. */
export interface BochsEdit extends Edit {
  readonly name: string;
  /** What Bochs does without it, and what shows. */
  readonly wrong: string;
  /** Where it is said what is right; null where that is a matter of Bochs alone. */
  readonly source: string | null;
}

export const bochsEdits: readonly BochsEdit[] = [
  {
    name: 'descriptor-alignment',
    file: 'cpu/vmx.cc',
    wrong:
      'holds the address of the posted-interrupt descriptor to the alignment of a page: each VM entry of a vCPU with an ' +
      'in-kernel LAPIC fails',
    source:
      'SDM 27.2.1.1 "VM-Execution Control Fields": bits 5:0 are 0, and no bit is beyond the physical-address width',
    find: 'if (! IsValidPageAlignedPhyAddr(vm->pid_addr)) {',
    replace: 'if (! IsValidPhyAddr(vm->pid_addr) || (vm->pid_addr & 0x3f)) {',
  },
  {
    name: 'virtual-interrupt-vectoring',
    file: 'cpu/vapic.cc',
    wrong:
      'does not say in the IDT-vectoring information that a virtual interrupt was being delivered when an EPT violation or an APIC ' +
      'access ended the guest: the interrupt is lost, and halted vCPUs that wake each other stop',
    source: 'SDM 30.2.2 "Virtual-Interrupt Delivery"; 28.2.4 "Information for VM Exits During Event Delivery"',
    find: 'BX_CPU_THIS_PTR EXT = 1; /* external event */',
    replace:
      'BX_CPU_THIS_PTR EXT = 1; /* external event */\n' +
      '  vm->idt_vector_error_code = 0;\n' +
      '  vm->idt_vector_info = vector | (BX_EXTERNAL_INTERRUPT << 8);',
  },
  {
    name: 'empty-posted-requests',
    file: 'cpu/vapic.cc',
    wrong:
      'takes "no vector" (-1) of empty requests for vector 0xff, and looks at VIRR instead of PIR: a vector that nobody sent, and ' +
      'senders to running vCPUs that wait for ever',
    source:
      'SDM 30.6 "Posted-Interrupt Processing", step 6: RVI is the maximum of itself and the highest bit of PIR; empty, it stays',
    find: 'vector = BX_CPU_THIS_PTR lapic->highest_priority_int(virr);\n  if (vector >= vm->rvi) vm->rvi = vector;',
    replace:
      'Bit32u posted[8];\n' +
      '  for (unsigned n=0;n<8;n++) posted[n] = PIR.ymm32u(n);\n' +
      '  int highest = BX_CPU_THIS_PTR lapic->highest_priority_int(posted);\n' +
      '  if (highest > vm->rvi) vm->rvi = highest;',
  },
  {
    name: 'masked-virtual-interrupt',
    file: 'cpu/event.cc',
    wrong: 'delivers a virtual interrupt that is pending when a physical one comes, although RFLAGS.IF is 0',
    source:
      'SDM 30.2.1 "Evaluation of Pending Virtual Interrupts"; 30.2.2: only with RFLAGS.IF = 1 and without blocking',
    find: 'if (is_pending(BX_EVENT_PENDING_VMX_VIRTUAL_INTR)) {',
    replace: 'if (is_unmasked_event_pending(BX_EVENT_PENDING_VMX_VIRTUAL_INTR)) {',
  },
  {
    name: 'interrupts-masked-at-entry',
    file: 'cpu/vmx.cc',
    wrong:
      'works out which events are masked before it is in the guest: a guest that is entered with RFLAGS.IF = 0 cannot be interrupted, ' +
      'although "external-interrupt exiting" is 1',
    source: 'SDM 25.6.1 "Pin-Based VM-Execution Controls": RFLAGS.IF has no say then',
    find: 'BX_CPU_THIS_PTR in_vmx_guest = true;',
    replace: 'BX_CPU_THIS_PTR in_vmx_guest = true;\n  handleInterruptMaskChange();',
  },
  {
    name: 'image-in-blocks',
    file: 'memory/misc_mem.cc',
    wrong:
      'reads an image for RAM in one piece into memory that is allocated in blocks, which need not be neighbours: a kernel that is ' +
      'larger than a block is torn, and one beyond the memory is written somewhere',
    source: null,
    find: 'ret = read(fd, (bx_ptr_t) BX_MEM_THIS get_vector(offset), size);',
    replace:
      'if (offset >= BX_MEM_THIS len) { BX_PANIC(("RAM: image is beyond the memory")); break; }\n' +
      '    unsigned long left = BX_MEM_THIS block_size - (offset & (BX_MEM_THIS block_size - 1));\n' +
      '    ret = read(fd, (bx_ptr_t) BX_MEM_THIS get_vector(offset), size < left ? size : left);',
  },
  {
    name: 'window-code',
    file: 'gui/nogui.cc',
    wrong:
      'cannot be asked for anything without a window on a screen, and has no fast way to a program in its computer',
    source: null,
    find: '#include "icon_bochs.h"',
    replace: `#include "icon_bochs.h"\n${windowCode}`,
  },
  {
    name: 'window-open',
    file: 'gui/nogui.cc',
    wrong: 'see window-code',
    source: null,
    find: 'UNUSED(bochs_icon_bits);  // global variable',
    replace: 'UNUSED(bochs_icon_bits);\n  window_open();',
  },
  {
    name: 'window-poll',
    file: 'gui/nogui.cc',
    wrong: 'see window-code',
    source: null,
    find: 'void bx_nogui_gui_c::handle_events(void)\n{',
    replace: 'void bx_nogui_gui_c::handle_events(void)\n{\n  window_poll();',
  },
];
