# what runs in make check besides unit tests
