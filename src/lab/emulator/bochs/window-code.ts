/** The C++ that is added to Bochs' gui/nogui.cc: the window (`window.ts`), and what can be asked for through it. */
import { stateFolderName, windowAddress, windowRequests, windowVariable, windowWords } from '../../../hand/window.ts';

export const windowCode = `
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include "cpu/cpu.h"
#include "memory/memory-bochs.h"
#include "pc_system.h"

static const bx_phy_address window_address = ${windowAddress}u;
static Bit8u *window_bytes = NULL;
static Bit64u window_length = 0;

static bool window_read(bx_phy_address at, unsigned length, void *data, void *)
{
  memcpy(data, window_bytes + (at - window_address), length);
  return true;
}

static bool window_write(bx_phy_address at, unsigned length, void *data, void *)
{
  memcpy(window_bytes + (at - window_address), data, length);
  return true;
}

static Bit8u *window_page(bx_phy_address at, unsigned, void *)
{
  return window_bytes + ((at - window_address) & ~(bx_phy_address)0xfff);
}

static void window_open(void)
{
  const char *path = getenv("${windowVariable}");
  struct stat stat_buf;
  int fd = path == NULL ? -1 : open(path, O_RDWR | O_CLOEXEC);

  if (fd < 0 || fstat(fd, &stat_buf) < 0) return;
  void *at = mmap(NULL, stat_buf.st_size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  close(fd);
  if (at == MAP_FAILED) return;
  window_bytes = (Bit8u *) at;
  window_length = stat_buf.st_size;
  BX_MEM(0)->registerMemoryHandlers(window_bytes, window_read, window_write, window_page,
                                    window_address, window_address + window_length - 1);
}

static void window_poll(void)
{
  if (window_bytes == NULL) return;
  volatile Bit32u *request = (volatile Bit32u *) (window_bytes + ${windowWords.request});
  Bit32u wanted = *request;
  if (wanted == 0) return;
  *request = 0;
  if (wanted == ${windowRequests.nmi}) BX_CPU(0)->deliver_NMI();
  if (wanted == ${windowRequests.save}) {
    mkdir("${stateFolderName}", 0700);
    _exit(SIM->save_state("${stateFolderName}") ? 0 : 1);
  }
}
`;
