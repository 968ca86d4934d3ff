/* The zoo's tests; `test_zoo serve PORT FOLDER` is the test hub over a folder's files instead, for other
 * clients to be pointed at, and `test_zoo pull ...` what child.c starts. */
#include "tests/zoo/tests.h"

#include <dirent.h>
#include <unistd.h>

static void serve(int port, const char *folder) {
    HubServer *hub = hub_server_start(port);
    DIR *open = opendir(folder);
    for (struct dirent *entry; open && (entry = readdir(open));) {
        FileMap map;
        char *path = path_join(folder, entry->d_name);
        if (!file_is_directory(path) && file_map(&map, path, NULL) == 0)
            hub_server_add(hub, entry->d_name, map.data, map.bytes, map.bytes > 1 << 20);
        free(path);
    }
    printf("HF_ENDPOINT=%s\n", hub_server_endpoint(hub));
    fflush(stdout);
    for (;;)
        pause();
}

int main(int argc, char **argv) {
    int64_t port;
    if (argc == 4 && strcmp(argv[1], "serve") == 0 && text_to_int(argv[2], &port))
        serve((int)port, argv[3]);
    if (argc == 8 && strcmp(argv[1], "pull") == 0)
        return child_main(argv + 2);
    return run_find_tests() + run_registry_tests() + run_pull_tests() + run_fault_tests() +
           run_listing_tests() + run_store_tests() + run_carry_tests() + run_outside_tests() +
           run_web_tests();
}
