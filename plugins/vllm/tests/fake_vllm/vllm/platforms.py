class _Platform:
    def get_device_name(self, index=0):
        return "Fake GPU"


current_platform = _Platform()
