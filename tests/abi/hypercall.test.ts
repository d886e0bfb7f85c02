/**
 * The hypercall interface in literal numbers, typed from TLFS and from `hyperv-tlfs.h`, not from our declarations: a
 * shared table is a shared mistake.
 */
import { describe, expect, it } from 'vitest';
import {
  bankCountMax,
  controlWord,
  HV_GENERIC_SET_ALL,
  HV_GENERIC_SET_SPARSE_4K,
  HV_IPI_HIGH_VECTOR,
  HV_IPI_LOW_VECTOR,
  HVCALL_SEND_IPI,
  HVCALL_SEND_IPI_EX,
  hvStatus,
  hvStatusName,
  sendIpiExInput,
  sendIpiInput,
  vpsPerBank,
  xmmHalfCount,
  xmmRegisterCount,
} from '../../src/abi/hypercall.ts';
import { decodeBits, type Layout } from '../../src/abi/layout.ts';

const places = (layout: Layout<string>) => layout.fields.map(({ name, shift, bits }) => [name, shift, bits]);

describe('controlWord', () => {
  it('should place the fields of the hypercall input value', () => {
    expect(places(controlWord)).toEqual([
      ['callCode', 0, 16],
      ['isFast', 16, 1],
      ['variableHeaderSize', 17, 10],
      ['reserved0', 27, 4],
      ['isNested', 31, 1],
      ['repCount', 32, 12],
      ['reserved1', 44, 4],
      ['repStartIndex', 48, 12],
      ['reserved2', 60, 4],
    ]);
  });

  it.each([
    [{ callCode: 0xbn }, 0x0000_0000_0000_000bn],
    [{ callCode: 0x15n, isFast: 1n }, 0x0000_0000_0001_0015n],
    [{ callCode: 0x15n, variableHeaderSize: 2n }, 0x0000_0000_0004_0015n],
    [{ variableHeaderSize: 0x3ffn }, 0x0000_0000_07fe_0000n],
    [{ isNested: 1n }, 0x0000_0000_8000_0000n],
    [{ repCount: 0xfffn }, 0x0000_0fff_0000_0000n],
    [{ repStartIndex: 0xfffn }, 0x0fff_0000_0000_0000n],
    [{ reserved0: 0xfn, reserved1: 0xfn, reserved2: 0xfn }, 0xf000_f000_7800_0000n],
  ])('should find %o alone in its word', (fields, word) => {
    const others = Object.fromEntries(controlWord.fields.map(({ name }) => [name, 0n]));
    expect(decodeBits(controlWord, word)).toEqual({ ...others, ...fields });
  });
});

describe('sendIpiInput', () => {
  it('should be the 16 bytes of struct hv_send_ipi', () => {
    expect(sendIpiInput.bits / 8).toBe(16);
    expect(places(sendIpiInput)).toEqual([
      ['vector', 0, 32],
      ['targetVtl', 32, 8],
      ['padding', 40, 24],
      ['processorMask', 64, 64],
    ]);
  });
});

describe('sendIpiExInput', () => {
  it('should be the 24 bytes before the banks of struct hv_send_ipi_ex', () => {
    expect(sendIpiExInput.bits / 8).toBe(24);
    expect(places(sendIpiExInput)).toEqual([
      ['vector', 0, 32],
      ['targetVtl', 32, 8],
      ['padding', 40, 24],
      ['format', 64, 64],
      ['validBankMask', 128, 64],
    ]);
  });
});

describe('constants', () => {
  it('should be the numbers of TLFS', () => {
    expect([HVCALL_SEND_IPI, HVCALL_SEND_IPI_EX]).toEqual([0x000b, 0x0015]);
    expect([HV_GENERIC_SET_SPARSE_4K, HV_GENERIC_SET_ALL]).toEqual([0n, 1n]);
    expect([HV_IPI_LOW_VECTOR, HV_IPI_HIGH_VECTOR]).toEqual([0x10, 0xff]);
    expect([vpsPerBank, bankCountMax, xmmRegisterCount, xmmHalfCount]).toEqual([64, 64, 6, 12]);
  });

  it('should leave room for 11 banks in the registers of an XMM fast call', () => {
    const registerBytes = 16 + 16 * xmmRegisterCount;
    expect((registerBytes - sendIpiExInput.bits / 8) / 8).toBe(11);
  });
});

describe('hvStatusName', () => {
  it.each([
    [0n, 'HV_STATUS_SUCCESS'],
    [2n, 'HV_STATUS_INVALID_HYPERCALL_CODE'],
    [3n, 'HV_STATUS_INVALID_HYPERCALL_INPUT'],
    [4n, 'HV_STATUS_INVALID_ALIGNMENT'],
    [5n, 'HV_STATUS_INVALID_PARAMETER'],
    [6n, 'HV_STATUS_ACCESS_DENIED'],
    [8n, 'HV_STATUS_OPERATION_DENIED'],
    [0xen, 'HV_STATUS_INVALID_VP_INDEX'],
  ])('should name status %i', (status, name) => {
    expect(hvStatusName(status)).toBe(name);
  });

  it('should show any other status as a number, large ones too', () => {
    expect(hvStatusName(0x51n)).toBe('0x51');
    expect(hvStatusName(0xffff_ffff_ffff_fc18n)).toBe('0xfffffffffffffc18');
    expect(Object.keys(hvStatus)).toHaveLength(8);
  });
});
