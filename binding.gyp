{
  # For those who build with node-gyp: the one real build is CMake's, which leaves build/Release/driftlock.node.
  "targets": [
    {
      "target_name": "driftlock-cmake",
      "type": "none",
      "actions": [
        {
          "action_name": "cmake",
          "inputs": ["CMakeLists.txt"],
          "outputs": ["build/Release/driftlock.node"],
          "action": ["node", "scripts/install.cjs"]
        }
      ]
    }
  ]
}
